import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from making import contents, random_thin_resnet34, random_vggish, tone, write_vectors

from pathosnet import PathosNet, __version__
from pathosnet.errors import InputError
from pathosnet.features import FastTextVectors, HashedWords, TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, LogMelExtractor, VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble

NARROW = BranchOptions(text_width=4, audio_width=5, num_blocks=1, dropout=0.2, batch_norm_momentum=0.3)
LABELS = ("Gioia", "wistful", "θυμός")


def words_of(folder: Path) -> TextEmbedder:
    """Two languages; among the words are some that a careless text file would break."""
    words = {"en": ["the", "new york", "caf\u00e9", "a\u2028b", "the"], "it": ["ciao", "unknown"]}
    tables = {
        code: WordVectors.load(write_vectors(folder / f"{code}.vec", listed, seed=len(listed)), oov="zeros")
        for code, listed in words.items()
    }
    return TextEmbedder(tables)


def logmel_and_hashed(folder: Path) -> PathosNet:
    network = EmotionNetwork({"logmel": 192, "text": 100}, 4, options=NARROW)
    return PathosNet(network, {"logmel": LogMelExtractor(3)}, TextEmbedder({"*": HashedWords(100, 2, 4)}))


def ensemble_and_vectors(folder: Path) -> PathosNet:
    networks = {
        "vggish": EmotionNetwork({"vggish": 512, "text": 300}, 4, options=NARROW),
        "ghostvlad": EmotionNetwork({"ghostvlad": 512, "text": 300}, 4, options=NARROW),
    }
    acoustic = {
        "vggish": VGGishExtractor(random_vggish()),
        "ghostvlad": GhostVLADExtractor(random_thin_resnet34(), hop_frames=20, silence_removal=False),
    }
    return PathosNet(Ensemble(networks, 4, temperature=3.0), acoustic, words_of(folder))


def text_and_own_labels(folder: Path) -> PathosNet:
    return PathosNet(EmotionNetwork({"text": 300}, 3, options=NARROW), {}, words_of(folder), labels=LABELS)


def voice_alone(folder: Path) -> PathosNet:
    return PathosNet(EmotionNetwork({"logmel": 64}, 4, options=NARROW), {"logmel": LogMelExtractor(1)}, None)


KINDS = [logmel_and_hashed, ensemble_and_vectors, text_and_own_labels, voice_alone]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small model with word vectors."""
    text_and_own_labels(tmp_path).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def refused(folder: Path, name: str = "") -> str:
    """The message about a model that cannot be read: one line that names the file."""
    with pytest.raises(InputError) as caught:
        PathosNet.from_pretrained(folder)
    message = str(caught.value)
    assert str(folder / name) in message
    assert "\n" not in message.strip()
    return message


def change_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# There and back


@pytest.mark.parametrize("make", KINDS)
def test_saved_model_predicts_the_same(tmp_path, make):
    model = make(tmp_path)
    with torch.no_grad():  # statistics as after a training
        for name, value in model.network.state_dict().items():
            if name.endswith(("running_mean", "running_var")):
                value.uniform_(0.5, 1.5)
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert again.labels == model.labels
    for seconds in (0.4, 1.1):
        audio = tone(seconds) if len(model.acoustic) else None
        for text in ("the café ciao zzz", "new york"):
            options = {"text": text if model.text else None, "sample_rate": 16_000}
            assert again.predict(audio, **options) == model.predict(audio, **options)


@pytest.mark.parametrize("make", KINDS)
def test_saved_model_has_the_same_parts(tmp_path, make):
    model = make(tmp_path)
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(str(tmp_path / "model"))
    assert again.network.config() == model.network.config()
    assert {n: e.config() for n, e in again.acoustic.items()} == {n: e.config() for n, e in model.acoustic.items()}
    for part in ("network", "acoustic"):
        ours, theirs = getattr(model, part).state_dict(), getattr(again, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not any(module.training for module in [*again.network.modules(), *again.acoustic.modules()])


def test_saved_word_vectors_are_the_same(tmp_path):
    model = text_and_own_labels(tmp_path)
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert list(again.text.tables) == ["en", "it"]
    for code, table in model.text.tables.items():
        assert again.text.tables[code].words == table.words
        assert again.text.tables[code].oov == "zeros"
        assert torch.equal(again.text.tables[code].vectors, table.vectors)


def test_saved_model_needs_none_of_the_files_it_was_made_of(tmp_path):
    model = text_and_own_labels(tmp_path)
    model.save_pretrained(tmp_path / "model")
    for code in ("en", "it"):
        (tmp_path / f"{code}.vec").unlink()
    assert PathosNet.from_pretrained(tmp_path / "model").predict(text="ciao") == model.predict(text="ciao")


def test_saved_model_can_be_moved(saved, tmp_path):
    expected = PathosNet.from_pretrained(saved).predict(text="ciao")
    saved.rename(tmp_path / "elsewhere")
    assert PathosNet.from_pretrained(tmp_path / "elsewhere").predict(text="ciao") == expected


def test_own_word_vectors_take_the_place_of_the_saved_ones(saved):
    class Ones:
        dim = 300

        def embed(self, words):
            return torch.ones(len(words), 300)

        def count_known(self, words):
            return len(words)

    model = PathosNet.from_pretrained(saved, text=TextEmbedder({"*": Ones()}))
    assert torch.equal(model.features(None, "two words")["text"], torch.ones(2, 300))


# The folder


@pytest.mark.parametrize("make", KINDS)
def test_nothing_in_the_folder_is_pickled(tmp_path, make):
    make(tmp_path).save_pretrained(tmp_path / "model")
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".md"}
    for path in files:
        if path.suffix == ".safetensors":
            safetensors.torch.load_file(path)
        else:
            path.read_text(encoding="utf-8")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["pathosnet_version"] == __version__


def test_labels_in_any_script_are_legible(saved):
    assert "θυμός" in (saved / "config.json").read_text(encoding="utf-8")


def test_files_can_be_read_by_others(saved):
    assert saved.stat().st_mode & 0o777 == 0o755
    for path in saved.rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_existing_folder_is_not_overwritten(saved, tmp_path):
    before = (saved / "config.json").read_bytes()
    with pytest.raises(InputError, match=r"model: exists already; .*--overwrite"):
        voice_alone(tmp_path).save_pretrained(saved)
    assert (saved / "config.json").read_bytes() == before


def test_existing_folder_is_replaced_if_asked(saved, tmp_path):
    voice_alone(tmp_path).save_pretrained(saved, overwrite=True)
    assert contents(saved) == {"README.md", "config.json", "model.safetensors"}
    assert PathosNet.from_pretrained(saved).text is None
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_file_is_never_replaced(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        voice_alone(tmp_path).save_pretrained(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_while_saving_leaves_everything_as_it_was(tmp_path, monkeypatch, overwrite):
    model = voice_alone(tmp_path)
    if overwrite:
        model.save_pretrained(tmp_path / "model")
    before = {name: (tmp_path / name).read_bytes() for name in contents(tmp_path) if (tmp_path / name).is_file()}

    def full(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="no space left"):
        model.save_pretrained(tmp_path / "model", overwrite=overwrite)
    after = {name: (tmp_path / name).read_bytes() for name in contents(tmp_path) if (tmp_path / name).is_file()}
    assert after == before


# Damage


def test_absent_folder(tmp_path):
    assert "holds no model (no config.json)" in refused(tmp_path / "absent")


def test_folder_of_something_else(tmp_path):
    assert "holds no model" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"not json"])
def test_damaged_configuration(saved, content):
    (saved / "config.json").write_bytes(content)
    assert "is not valid JSON" in refused(saved, "config.json")


@pytest.mark.parametrize("content", ["[]", "null", "{}", '"x"', '{"format": 1}'])
def test_configuration_of_something_else(saved, content):
    (saved / "config.json").write_text(content)
    refused(saved, "config.json")


def test_newer_format(saved):
    change_config(saved, format=2)
    assert "update pathosnet" in refused(saved, "config.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {}},
        {"network": {"branches": {"text": 300}}},
        {"network": None},
        {"acoustic": {"mfcc": {}}},
        {"acoustic": {"logmel": {"stacks": 3}}},
        {"labels": 3},
        {"labels": ["a", "b"]},
        {"labels": ["a", "a", "b"]},
        {"text": {}},
        {"text": {"tables": {}}},
        {"text": {"tables": {}, "identifier": None}},
        {"text": {"tables": {"en": {"kind": "guessed"}}, "identifier": None}},
        {"text": {"tables": {"en": {"kind": "word_vectors"}}, "identifier": None}},
        {"text": {"tables": {"en": {"kind": "hashed"}}, "identifier": None}},
        {"text": None},
    ],
    ids=str,
)
def test_configuration_that_describes_no_model(saved, changes):
    change_config(saved, **changes)
    refused(saved, "config.json")


def test_missing_weights(saved):
    (saved / "model.safetensors").unlink()
    refused(saved, "model.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_damaged_weights(saved, keep):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "incomplete or damaged" in refused(saved, "model.safetensors")


def test_weights_of_another_model_list_what_does_not_fit(saved):
    path = saved / "model.safetensors"
    state = safetensors.torch.load_file(path)
    state["network.classifier.bias"] = torch.zeros(7)
    state["network.extra"] = torch.zeros(1)
    del state["network.classifier.weight"]
    safetensors.torch.save_file(state, path)
    message = refused(saved, "model.safetensors")
    assert "missing: network.classifier.weight" in message
    assert "surplus: network.extra" in message
    assert "of another shape: network.classifier.bias" in message


def test_missing_words(saved):
    (saved / "text" / "0.words.txt").unlink()
    refused(saved, "text/0.words.txt")


@pytest.mark.parametrize("content", [b"", b"the\n", b"\xff\xfe\n\n\n\n"])
def test_damaged_words(saved, content):
    (saved / "text" / "0.words.txt").write_bytes(content)
    refused(saved, "text/0.words.txt")


def test_missing_vectors(saved):
    (saved / "text" / "1.safetensors").unlink()
    refused(saved, "text/1.safetensors")


def test_damaged_vectors(saved):
    (saved / "text" / "1.safetensors").write_bytes(b"\x00" * 20)
    refused(saved, "text/1.safetensors")


def test_vectors_file_of_something_else(saved):
    safetensors.torch.save_file({"weights": torch.zeros(2, 2)}, saved / "text" / "1.safetensors")
    refused(saved, "text/1.safetensors")


def test_configuration_cannot_point_outside_of_the_folder(saved, tmp_path):
    """A model from a stranger reads its own files only."""
    outside = tmp_path / "outside"
    (saved / "text" / "0.safetensors").rename(outside.with_suffix(".safetensors"))
    (saved / "text" / "0.words.txt").rename(tmp_path / "outside.words.txt")
    config = json.loads((saved / "config.json").read_text())["text"]
    config["tables"]["en"]["name"] = str(outside)
    change_config(saved, text=config)
    refused(saved, "text/outside")


# fastText models are referred to


@pytest.fixture
def fasttext_model(tmp_path: Path) -> Path:
    fasttext = pytest.importorskip("fasttext", reason="needs the extra 'fasttext'")
    words = ["ciao", "mondo", "bello", *(f"parola{i}" for i in range(40))]
    lines = [" ".join(np.random.default_rng(i).permutation(words)) for i in range(40)]
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    model = fasttext.train_unsupervised(
        str(tmp_path / "text.txt"),
        dim=10,
        minCount=1,
        bucket=50,
        epoch=1,
        lr=0.01,
        thread=10,  # fewer leave a part of the package's table uninitialised
        verbose=0,
    )
    model.save_model(str(tmp_path / "it.bin"))
    return tmp_path / "it.bin"


def fasttext_and_map(path: Path) -> PathosNet:
    mapping = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 10)).astype(np.float32))
    text = TextEmbedder({"it": FastTextVectors(path, mapping), "en": FastTextVectors(path)})
    return PathosNet(EmotionNetwork({"text": 10}, 4, options=NARROW), {}, text)


def test_fasttext_models_are_referred_to(fasttext_model, tmp_path):
    model = fasttext_and_map(fasttext_model)
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert torch.isfinite(model.features(None, "ciao mondi", "it")["text"]).all()
    found = {code: again.features(None, "ciao mondi", code)["text"] for code in ("it", "en")}
    for code, vectors in found.items():
        assert torch.equal(vectors, model.features(None, "ciao mondi", code)["text"])
    assert not torch.allclose(found["it"], found["en"])
    assert not list((tmp_path / "model").rglob("*.bin"))


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_absent_or_other_fasttext_model_is_named(fasttext_model, tmp_path, change):
    fasttext_and_map(fasttext_model).save_pretrained(tmp_path / "model")
    if change == "removed":
        fasttext_model.unlink()
    else:
        fasttext_model.write_bytes(fasttext_model.read_bytes()[:-1] + b"x")
    message = refused(tmp_path / "model")
    assert str(fasttext_model) in message
    assert "from_pretrained(…, text=…)" in message
