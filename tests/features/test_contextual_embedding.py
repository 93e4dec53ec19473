import json
import re
import shutil
import sys

import pytest
import torch
from encoders import write_bert, write_into_hub_cache, write_xlm_roberta
from making import make_corpus, tiny_config, tone
from serving import hub_server

from pathosnet import PathosNet
from pathosnet.corpora import read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.prepare import build_text_embedder
from pathosnet.experiments.train import train
from pathosnet.features import ContextualEmbedding, HashedWords, SentenceEmbedding, TextEmbedder, load_encoder
from pathosnet.features.extract import extract_features
from pathosnet.features.store import hash_weights
from pathosnet.models import EmotionNetwork

pytest.importorskip("transformers")

SAME = 1e-5
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["ciao", "the door is lost.", "no", "wonderful doors all day!", "go away now all is lost the day", "xyz no"]


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("encoders") / "bert")


@pytest.fixture(scope="module")
def bert(bert_folder) -> ContextualEmbedding:
    return load_encoder(str(bert_folder))


@pytest.fixture(scope="module")
def xlm_roberta(tmp_path_factory) -> ContextualEmbedding:
    return load_encoder(str(write_xlm_roberta(tmp_path_factory.mktemp("encoders") / "xlm-roberta")))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, which is out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def hidden_states(embedding: ContextualEmbedding, pieces: list[int]) -> tuple[torch.Tensor, ...]:
    """What transformers itself computes of one row of pieces, without its batch axis."""
    with torch.no_grad():
        found = embedding.encoder(torch.tensor([pieces]), output_hidden_states=True)
    return tuple(states[0] for states in found.hidden_states)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < SAME


# Vectors


def test_each_piece_has_the_last_hidden_state_and_special_pieces_have_none(bert):
    (found,) = bert.embed_texts(["the doors"])
    states = hidden_states(bert, [2, 7, 8, 17, 3])  # [CLS] the door ##s [SEP]
    assert found.dtype == torch.float32
    assert_close(found, states[-1][1:4])


def test_a_sentence_changes_its_words_vectors(bert):
    alone, after = bert.embed_texts(["door", "no door"])
    assert (alone[0] - after[1]).abs().max() > 0.01


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
def test_layer_chooses_the_hidden_states(bert_folder, layer):
    embedding = load_encoder(str(bert_folder), layer)
    assert_close(embedding.embed_texts(["the door"])[0], hidden_states(embedding, [2, 7, 8, 3])[layer][1:3])


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there(bert_folder, layer):
    with pytest.raises(
        InputError, match=rf"text_layer: hf:.*bert has the layers 0 to 2 \(-1 is the last\), got {layer}"
    ):
        load_encoder(str(bert_folder), layer)


@pytest.mark.parametrize("name", ["bert", "xlm_roberta"])
def test_texts_have_the_same_vectors_together_as_alone(name, request, monkeypatch):
    embedding = request.getfixturevalue(name)
    monkeypatch.setattr("pathosnet.features.text.contextual.WINDOWS_AT_ONCE", 3)
    texts = [*TEXTS, "ciao no " * 20, "ciao"]
    together = embedding.embed_texts(texts)
    assert [len(found) for found in together[:3]] == [len(embedding.embed_texts([text])[0]) for text in texts[:3]]
    for text, found in zip(texts, together, strict=True):
        assert_close(found, embedding.embed_texts([text])[0])


def test_few_batches_are_run_for_many_texts(bert):
    sizes = []
    handle = bert.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    bert.embed_texts(["no", "the door is lost"] * 32)
    handle.remove()
    assert sizes == [(32, 3), (32, 6)], "those of one length share a batch"


def test_no_texts(bert):
    assert bert.embed_texts([]) == []


def test_unigram_pieces(xlm_roberta):
    (found,) = xlm_roberta.embed_texts(["ciao no"])
    assert_close(found, hidden_states(xlm_roberta, [0, 4, 5, 2])[-1][1:3])


# Long texts


def test_positions_bound_what_is_read_at_once(bert, xlm_roberta):
    assert bert.max_pieces == 12
    assert xlm_roberta.max_pieces == 12, "RoBERTa's first two positions are never used"


@pytest.mark.parametrize("count", [9, 10, 11, 18, 19, 40])
def test_no_piece_of_a_long_text_is_lost(bert, count):
    words = ["ciao", "no", "the", "door", "day"] * 8
    (found,) = bert.embed_texts([" ".join(words[:count])])
    assert len(found) == count


def test_long_texts_are_read_in_windows_and_pieces_near_an_edge_taken_from_the_next(bert):
    ids = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 5, 6]  # 14 pieces: windows of 10 that share 2
    (found,) = bert.embed_texts(["ciao no the door wonderful day go away now all is lost ciao no"])
    first = hidden_states(bert, [2, *ids[:10], 3])[-1][1:-1]
    second = hidden_states(bert, [2, *ids[8:], 3])[-1][1:-1]
    assert_close(found, torch.cat([first[:9], second[1:]]))


# In a text embedder


def test_words_stay_words_and_sentences_sentences(bert):
    embedder = TextEmbedder({"it": bert, "en": HashedWords(16)})
    assert isinstance(bert, SentenceEmbedding)
    assert_close(embedder.embed("ciao  [LAUGHTER] no!", "it"), bert.embed_texts(["ciao no!"])[0])
    assert torch.equal(embedder.embed("ciao no!", "en"), HashedWords(16).embed(["ciao", "no"]))
    mixed = embedder.embed_all(["no!", "no!", None], ["en", "it", "it"])
    assert [len(found) for found in mixed] == [1, 2, 0]


@pytest.mark.parametrize("text", [None, "", " ", "[LAUGHTER]", "…!"])
def test_a_text_without_words_has_no_rows(bert, text):
    assert TextEmbedder({"*": bert}).embed(text).shape == (0, 16)


def test_the_encoder_that_knows_the_words_is_taken_for_an_unknown_language(bert, xlm_roberta):
    assert bert.count_known(["the", "doors", "xyz", "away"]) == 2
    embedder = TextEmbedder({"it": xlm_roberta, "en": bert})
    assert embedder.choose_table(["the", "door", "away"]) == "en"
    assert embedder.choose_table(["ciao", "no"]) == "it", "the first of equals"


def test_tables_of_other_dimensions_do_not_go_with_it(bert):
    with pytest.raises(InputError, match=r"expected tables of one dimension, got \* 16, en 300"):
        TextEmbedder({"*": bert, "en": HashedWords()})


def test_a_corpus_is_embedded_as_its_texts_alone(bert, tmp_path, monkeypatch):
    monkeypatch.setattr("pathosnet.features.extract.TEXTS_AT_ONCE", 5)
    corpus = read_manifest(make_corpus(tmp_path / "corpus", per_class=2), PAPER_EMOTIONS)
    table = extract_features(corpus, {}, TextEmbedder({"*": bert}), progress=False, device=torch.device("cpu"))
    for utterance, found in zip(corpus.utterances, table.sequences["text"], strict=True):
        assert_close(found, bert.embed_texts([utterance.text])[0])


def test_configuration_and_weights_can_be_hashed(bert, bert_folder):
    assert json.loads(json.dumps(bert.config())) == {"model": None, "revision": None, "layer": -1}
    assert hash_weights(bert) == hash_weights(load_encoder(str(bert_folder)))
    assert not any(weight.requires_grad for weight in bert.parameters())
    assert not bert.encoder.training


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_encoder_moves_with_the_recognizer(bert_folder):
    embedding = load_encoder(str(bert_folder))
    expected = embedding.embed_texts(TEXTS)
    model = PathosNet(EmotionNetwork({"text": 16}, 4), {}, TextEmbedder({"*": embedding}))
    alone = model.predict(text="the door")
    assert model.to("cuda").features(None, "the door")["text"].is_cuda
    for found, wanted in zip(embedding.embed_texts(TEXTS), expected, strict=True):
        assert found.is_cuda
        assert (found.cpu() - wanted).abs().max() < 1e-3
    assert model.predict(text="the door").probabilities == pytest.approx(alone.probabilities, abs=1e-3)


# Options, training, saving


def test_options_name_an_encoder(bert_folder):
    embedder = build_text_embedder(tiny_config(text=f"it=hf:{bert_folder}", text_layer=1))
    assert embedder.dim == 16
    assert embedder.tables["it"].layer == 1


def test_train_save_and_load_without_the_folder(tmp_path):
    folder = write_bert(tmp_path / "bert")
    corpus = make_corpus(tmp_path / "corpus")
    run = train(corpus, tmp_path / "run", tiny_config(text=f"hf:{folder}", text_layer=1, modality_dropout=0.2))
    assert {path.suffix for path in (tmp_path / "run" / "text").rglob("*.*")} <= {".json", ".safetensors", ".txt"}
    shutil.rmtree(folder)
    again = PathosNet.from_pretrained(tmp_path / "run")
    clip = tone(0.5)
    for text in ("wonderful day", None):
        expected = run.model.predict(clip, text, sample_rate=16_000)
        assert again.predict(clip, text, sample_rate=16_000).probabilities == pytest.approx(expected.probabilities)
    together = again.predict_batch([clip] * 6, TEXTS, sample_rate=16_000)
    for text, found in zip(TEXTS, together, strict=True):
        alone = again.predict(clip, text, sample_rate=16_000)
        assert found.probabilities == pytest.approx(alone.probabilities, abs=SAME)
    again.save_pretrained(tmp_path / "copy")
    assert PathosNet.from_pretrained(tmp_path / "copy").text.tables["*"].layer == 1


def save_model_of(encoder: ContextualEmbedding, folder) -> PathosNet:
    torch.manual_seed(0)
    model = PathosNet(EmotionNetwork({"text": 16}, 4), {}, TextEmbedder({"*": encoder}))
    model.save_pretrained(folder)
    return model


def test_an_encoder_of_the_hub_is_referred_to_by_its_commit(hub, tmp_path):
    write_into_hub_cache(hub, "somebody/tiny-bert", COMMIT)
    encoder = load_encoder("somebody/tiny-bert@main")
    assert encoder.config() == {"model": "somebody/tiny-bert", "revision": COMMIT, "layer": -1}
    model = save_model_of(encoder, tmp_path / "model")
    assert list((tmp_path / "model" / "text").iterdir()) == []
    (hub / "models--somebody--tiny-bert" / "refs" / "main").write_text("f" * 40)  # the branch goes on
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert again.predict(text="the door") == model.predict(text="the door")


def test_an_encoder_of_the_hub_with_other_weights_is_refused(hub, tmp_path):
    folder = write_into_hub_cache(hub, "tiny", COMMIT)
    save_model_of(load_encoder("tiny"), tmp_path / "model")
    shutil.rmtree(folder)
    write_into_hub_cache(hub, "tiny", COMMIT, seed=5)
    with pytest.raises(InputError, match=rf"model: needs the encoder .*hf:tiny@{COMMIT} has other weights; .*text=…"):
        PathosNet.from_pretrained(tmp_path / "model")
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"config\.json: describes no model \(hf:tiny@.* cannot be fetched"):
        PathosNet.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("name", ["/etc", "../bert", "//host/share", "a/b/c", "https://example.org/x", ""])
def test_a_saved_model_cannot_refer_to_a_folder(hub, tmp_path, name):
    write_into_hub_cache(hub, "tiny", COMMIT)
    save_model_of(load_encoder("tiny"), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["text"]["tables"]["*"]["model"] = name
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="a folder that is there, or a model's name on the hub"):
        PathosNet.from_pretrained(tmp_path / "model")


def test_a_model_with_its_own_encoder_comes_from_a_hub_whole(bert, tmp_path, connect):
    model = save_model_of(bert, tmp_path / "model")
    saved = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    files = {str(path.relative_to(tmp_path / "model")): path.read_bytes() for path in saved}
    with hub_server(anna__small={**files, "text/0/mine.py": b"x", "text/0/pytorch_model.bin": b"x"}) as server:
        connect(server.url)
        again = PathosNet.from_pretrained("anna/small")
        assert not [path for _, path in server.requests if path.endswith((".py", ".bin"))]
    assert again.predict(text="the door") == model.predict(text="the door")


def test_an_encoder_is_fetched_from_a_hub_once(bert_folder, connect):
    files = {path.name: path.read_bytes() for path in bert_folder.iterdir()}
    with hub_server(anna__bert={**files, "pytorch_model.bin": b"x", "onnx/model.safetensors": b"x"}) as server:
        connect(server.url)
        first = load_encoder("anna/bert")
        fetched = {path.split("/resolve/")[1].partition("/")[2] for _, path in server.requests if "/resolve/" in path}
        assert "model.safetensors" in fetched
        assert not fetched & {"pytorch_model.bin", "onnx/model.safetensors"}
    assert re.fullmatch("[0-9a-f]{40}", first.revision)
    again = load_encoder("anna/bert")  # the server is gone
    assert again.config() == first.config()
    assert hash_weights(again) == hash_weights(first)


def test_a_copied_encoder_is_no_link_to_another_place(bert, tmp_path):
    save_model_of(bert, tmp_path / "model")
    path = tmp_path / "model" / "text" / "0" / "tokenizer.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(
        InputError, match=r"text/0/tokenizer\.json: is a link to .*elsewhere\.json, outside of the model"
    ):
        PathosNet.from_pretrained(tmp_path / "model")


# What cannot be opened


def test_a_model_that_was_never_fetched_is_one_line_that_says_what_to_do(hub):
    with pytest.raises(InputError, match=r"hf:somebody/absent: cannot be fetched, and was not .*hf:FOLDER$") as caught:
        load_encoder("somebody/absent")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(hub):
    with pytest.raises(InputError, match=r"hf:\./nowhere/at/all: expected a folder that is there, or a model's name"):
        load_encoder("./nowhere/at/all")


def test_pickled_weights_are_not_read(bert_folder, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(bert_folder, folder)
    (folder / "model.safetensors").unlink()
    torch.save(load_encoder(str(bert_folder)).encoder.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled: cannot be opened as an encoder .*model\.safetensors"):
        load_encoder(str(folder))


def test_code_beside_a_model_is_not_run(bert_folder, tmp_path):
    folder = tmp_path / "programmed"
    shutil.copytree(bert_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    with pytest.raises(InputError, match="programmed: cannot be opened as an encoder"):
        load_encoder(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_files(bert_folder, tmp_path, name):
    shutil.copytree(bert_folder, tmp_path / "damaged")
    path = tmp_path / "damaged" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"^hf:.*damaged: cannot be opened as an encoder") as caught:
        load_encoder(str(tmp_path / "damaged"))
    assert "\n" not in str(caught.value)


def test_weights_that_lack_a_layer_are_refused_rather_than_drawn_at_random(tmp_path):
    folder = write_bert(tmp_path / "shallow", layers=1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(InputError, match=r"shallow: its weights are not those .*encoder\.layer\.1.* is missing"):
        load_encoder(str(folder))


def test_what_is_no_encoder_of_text(tmp_path, bert):
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    with pytest.raises(InputError, match="expected an encoder of text, such as BERT, got T5Model"):
        ContextualEmbedding(transformers.T5Model(config), bert.tokenizer)


def test_missing_package_names_the_command(monkeypatch, bert_folder):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs the transformers package; pip install 'pathosnet\[transformers\]'"):
        load_encoder(str(bert_folder))


def test_nothing_is_printed_and_transformers_own_settings_stay(bert_folder, capfd):
    logging = pytest.importorskip("transformers").utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        load_encoder(str(bert_folder)).embed_texts(["no " * 30])
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.INFO, True)
    finally:
        logging.set_verbosity(before)
        logging.disable_progress_bar()
    assert capfd.readouterr() == ("", "")
