"""What the encoder of text in a stranger's model may ask for, and what comes of it."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from encoders import write_bert

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder, load_encoder
from pathosnet.features.text.encoder_outline import MAX_CONFIG_BYTES, _no_more_than
from pathosnet.models import BranchOptions, EmotionNetwork

transformers = pytest.importorskip("transformers")

MILLION = 1 << 20


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A model that reads text with an encoder of its own."""
    folder = tmp_path_factory.mktemp("models")
    embedding = load_encoder(str(write_bert(folder / "bert")))
    network = EmotionNetwork({"text": embedding.dim}, 4, options=BranchOptions(text_width=4, num_blocks=1))
    PathosNet(network, {}, TextEmbedder({"*": embedding})).save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture
def encoder(saved, tmp_path) -> Path:
    """The encoder's folder in a copy of the model."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model" / "text" / "0"


def change(encoder: Path, **values: object) -> None:
    """Sets values in the encoder's config.json."""
    path = encoder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refusal(encoder: Path, monkeypatch) -> str:
    """The one line that ends the attempt, soon and before transformers begins to make the encoder."""
    made = []
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lambda *_, **__: made.append(1))
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        PathosNet.from_pretrained(encoder.parent.parent)
    assert time.monotonic() - started < 5
    assert not made
    assert str(caught.value).startswith(f"{encoder}: cannot be opened as an encoder of text (")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unchanged_it_is_read(encoder):
    assert PathosNet.from_pretrained(encoder.parent.parent).predict(text="ciao").label


@pytest.mark.parametrize("value", [MILLION + 1, 10**9, 10**30])
@pytest.mark.parametrize("name", ["num_hidden_layers", "hidden_size", "vocab_size", "max_position_embeddings"])
def test_absurd_sizes_are_refused(name, value, encoder, monkeypatch):
    change(encoder, **{name: value})
    assert f"(config.json: {name}: expected a number up to 1,048,576, got {value})" in refusal(encoder, monkeypatch)


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": MILLION},
        {"num_hidden_layers": 10_000},
        {"intermediate_size": MILLION},
        {"vocab_size": MILLION, "hidden_size": MILLION},
    ],
    ids=str,
)
def test_more_than_the_weights_file_holds_is_refused(values, encoder, monkeypatch):
    change(encoder, **values)
    assert "config.json asks for more than the weights beside it hold" in refusal(encoder, monkeypatch)


def test_tables_that_no_file_holds_are_bounded_as_well(encoder, monkeypatch):
    config = transformers.GPTNeoConfig(
        vocab_size=8, hidden_size=16, num_layers=1, attention_types=[[["global"], 1]], max_position_embeddings=8192
    )
    config.save_pretrained(encoder)  # its mask has 8192² entries
    assert "config.json asks for more than the weights beside it hold" in refusal(encoder, monkeypatch)


def test_configuration_that_is_no_configuration_is_refused(encoder, monkeypatch):
    with (encoder / "config.json").open("wb") as file:
        file.truncate(MAX_CONFIG_BYTES + 1)
    assert "config.json: is larger than 16,777,216 bytes" in refusal(encoder, monkeypatch)
    (encoder / "config.json").write_text("[" * 200_000)
    assert "is not valid JSON" in refusal(encoder, monkeypatch)


def test_adapters_are_refused(encoder, monkeypatch):
    """Their own configuration could ask for as much as it likes."""
    (encoder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1000000000}')
    assert "(adapter_config.json: adapters are not read" in refusal(encoder, monkeypatch)


def test_programs_for_attention_are_not_fetched(encoder, monkeypatch):
    change(encoder, attn_implementation="kernels-community/flash-attn")
    found = PathosNet.from_pretrained(encoder.parent.parent).text.tables["*"].encoder.config
    assert found._attn_implementation == "sdpa"


def test_the_bases_of_rotary_positions_are_no_sizes(encoder):
    change(encoder, rope_theta=10**7)
    assert PathosNet.from_pretrained(encoder.parent.parent).labels


def test_limits_hold_within_the_block_and_its_thread_alone():
    linear = [4, 3]  # 12 weights and 3 biases
    with _no_more_than(max_values=15, max_modules=0):
        torch.nn.Linear(*linear)
    with _no_more_than(max_values=14, max_modules=0):
        other = threading.Thread(target=lambda: made.append(torch.nn.Linear(*linear)))
        made: list[torch.nn.Linear] = []
        other.start()
        other.join()
        assert len(made) == 1
        with pytest.raises(InputError, match="more than the weights"):
            torch.nn.Linear(*linear)
    with _no_more_than(max_values=15, max_modules=0), pytest.raises(InputError, match="more than the weights"):
        torch.nn.Sequential(torch.nn.Linear(*linear))
    torch.nn.Sequential(torch.nn.Linear(*linear))


def test_what_is_shared_is_counted_once():
    with _no_more_than(max_values=12, max_modules=2):
        shared = torch.nn.Linear(4, 3, bias=False)
        layers = torch.nn.Sequential(shared, shared)
        layers.again = shared.weight
        layers.gone = torch.nn.Identity()
