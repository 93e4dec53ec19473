"""Experiments over every combination of inputs and labels, parts made from options, and failures."""

import json
import shutil
from pathlib import Path

import pytest
from making import (
    contents,
    make_corpus,
    random_vggish,
    read_rows,
    save_weights,
    tiny_config,
    write_vectors,
)
from runs import assert_consistent

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.prepare import build_extractors, build_text_embedder
from pathosnet.experiments.train import train
from pathosnet.features import HashedWords
from pathosnet.features.acoustic.extractors import LogMelExtractor


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def vggish_file(tmp_path_factory) -> str:
    return str(save_weights(tmp_path_factory.mktemp("weights") / "vggish.safetensors", random_vggish()))


# Every combination of inputs


def test_voice_alone(corpus, tmp_path):
    run = train(corpus, tmp_path / "run", tiny_config(text="none", logmel_stack=2))
    assert run.model.network.input_dims == {"logmel": 128}
    assert_consistent(run, corpus)


def test_text_alone_needs_no_audio(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", audio="")
    for clip in (tmp_path / "corpus").glob("*.wav"):
        clip.unlink()
    run = train(corpus, tmp_path / "run", tiny_config(acoustic="none"))
    assert run.model.network.input_dims == {"text": 300}
    assert [stage["name"] for stage in json.loads((run.folder / "run.json").read_text())["stages"]] == [
        "text-1-branches"
    ]
    assert_consistent(run, corpus)


def test_text_alone_needs_texts(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", text="")
    with pytest.raises(InputError, match=r"corpus\.csv.*text"):
        train(corpus, tmp_path / "run", tiny_config(acoustic="none"))


def test_word_vectors_by_language(tmp_path):
    words = {"en": ["wonderful", "day", "unknown"], "it": ["go", "away", "all"]}
    files = [f"{code}={write_vectors(tmp_path / f'{code}.vec', listed)}" for code, listed in words.items()]
    corpus = make_corpus(tmp_path / "corpus", language=lambda row, emotion: ("en", "it")[row % 2])
    run = train(corpus, tmp_path / "run", tiny_config(text=tuple(files)))
    assert list(run.model.text.tables) == ["en", "it"]
    assert_consistent(run, corpus)


def test_own_labels(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", emotions=("boredom", "wistful", "anger"))
    run = train(corpus, tmp_path / "run", tiny_config(labels="corpus"))
    assert run.model.labels == ("anger", "boredom", "wistful")
    assert_consistent(run, corpus, ("anger", "boredom", "wistful"))


def test_labels_can_be_mapped_and_dropped(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", emotions=("w", "happy", "boredom", "sadness"))
    run = train(corpus, tmp_path / "run", tiny_config(label=("w=anger",), drop_labels="boredom"))
    counts = json.loads((run.folder / "run.json").read_text())["corpus"]["counts"]
    assert counts == {"happiness": 8, "anger": 8, "sadness": 8, "neutral": 0}
    measured, _ = evaluate(run.folder, corpus, label=["w=anger"], drop_labels=["boredom"], progress=False)
    assert measured.confusion == run.metrics.confusion


def test_speakers_can_be_held_out(corpus, tmp_path):
    run = train(corpus, tmp_path / "run", tiny_config(split="speaker", num_folds=4, fold=1))
    speakers: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for row in read_rows(run.folder / "split.csv"):
        speakers[row["part"]].add(row["speaker"])
    assert sum(map(len, speakers.values())) == 4
    assert run.leak["test_speakers_in_training"] == 0
    assert_consistent(run, corpus)


def test_without_a_test_part_there_are_no_metrics(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", split=lambda row, emotion: ("train", "train", "dev")[row % 3])
    run = train(corpus, tmp_path / "run", tiny_config())
    assert run.metrics is None
    assert contents(run.folder) & {"metrics.json", "predictions.csv", "confusion_matrix.png"} == set()
    with pytest.raises(InputError, match="has no test part; evaluate --part all"):
        evaluate(run.folder, corpus, progress=False)
    assert evaluate(run.folder, corpus, "validation", progress=False)[0].utterances == 10


def test_network_learns_what_can_be_learnt(tmp_path):
    """Pitches and words tell the emotions apart: after a few epochs hardly a clip is mistaken."""
    corpus = make_corpus(tmp_path / "corpus", per_class=12)
    wide = {"text_width": 16, "audio_width": 16, "dropout": 0.0, "epochs": 12, "learning_rate": 3e-3}
    for options in ({"text": "none"}, {"acoustic": "none"}):
        run = train(corpus, tmp_path / "run", tiny_config(**wide, **options), overwrite=True)
        assert run.metrics.accuracy >= 0.8, options


def test_modality_dropout_keeps_a_model_sensible_without_text(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", per_class=12)
    wide = {"text_width": 16, "audio_width": 16, "dropout": 0.0, "epochs": 25, "learning_rate": 3e-3}
    train(corpus, tmp_path / "run", tiny_config(**wide, modality_dropout=0.6))
    for options in ({"use_text": False}, {"use_audio": False}, {}):
        measured, _ = evaluate(tmp_path / "run", corpus, "all", progress=False, **options)
        assert measured.uar >= 0.7, options


# Failures


def fails_cleanly(corpus: Path, folder: Path, match: str, **options) -> None:
    folder.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=match):
        train(corpus, folder / "runs" / "run", tiny_config(**options))
    assert contents(folder) <= {"runs"}


@pytest.mark.parametrize(
    "content", [b"", b"this is text", b"RIFF\x24\x00\x00\x00WAVEfmt "], ids=["empty", "text", "cut"]
)
def test_bad_recording_names_its_row_and_leaves_nothing_behind(corpus, tmp_path, content):
    shutil.copytree(corpus.parent, tmp_path / "corpus")
    (tmp_path / "corpus" / "sadness_2.wav").write_bytes(content)
    row = next(i for i, r in enumerate(read_rows(corpus), start=2) if r["audio"] == "sadness_2.wav")
    fails_cleanly(
        tmp_path / "corpus" / "corpus.csv", tmp_path / "out", rf"corpus\.csv, row {row}: .*sadness_2\.wav: ", epochs=1
    )


def test_failure_in_the_middle_of_training_leaves_nothing_behind(corpus, tmp_path):
    fails_cleanly(corpus, tmp_path / "out", "lower the learning rate", learning_rate=1e30, logger="csv")


def test_any_other_failure_leaves_nothing_behind(corpus, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("pathosnet.evaluation.predictions.plot_confusion_matrix", fail)
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError, match="out of luck"):
        train(corpus, tmp_path / "out" / "run", tiny_config())
    assert contents(tmp_path / "out") == set()


def test_failed_run_leaves_the_earlier_one_in_place(corpus, tmp_path):
    train(corpus, tmp_path / "run", tiny_config(epochs=1))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(InputError):
        train(corpus, tmp_path / "run", tiny_config(learning_rate=1e30), overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_existing_folder_is_refused_before_anything_is_computed(corpus, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("pathosnet.experiments.evaluate.extract_features", lambda *_: pytest.fail("computed"))
    with pytest.raises(InputError, match=r"run: exists already; .*--overwrite"):
        train(corpus, tmp_path / "run", tiny_config())


def test_earlier_run_can_be_replaced(corpus, tmp_path):
    train(corpus, tmp_path / "run", tiny_config(epochs=1, text="none"))
    train(corpus, tmp_path / "run", tiny_config(epochs=1), overwrite=True)
    assert PathosNet.from_pretrained(tmp_path / "run").text is not None
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# Parts from options


def test_text_tables_are_made_as_the_options_say(tmp_path):
    en, it = write_vectors(tmp_path / "en.vec", ["a", "b", "c"]), write_vectors(tmp_path / "it.txt", ["a", "b"])
    embedder = build_text_embedder(tiny_config(text=(f"en={en}", f"it={it}"), max_words=2, oov="zeros"))
    assert list(embedder.tables) == ["en", "it"]
    assert [len(table) for table in embedder.tables.values()] == [2, 2]
    assert embedder.tables["en"].oov == "zeros"
    assert list(build_text_embedder(tiny_config(text=(str(en),))).tables) == ["*"]
    assert isinstance(build_text_embedder(tiny_config()).tables["*"], HashedWords)
    assert build_text_embedder(tiny_config(text="none")) is None


def test_hashed_words_can_stand_in_for_one_language(tmp_path):
    en = write_vectors(tmp_path / "en.vec", ["a", "b", "c"])
    embedder = build_text_embedder(tiny_config(text=(f"en={en}", "el=hashed")))
    assert isinstance(embedder.tables["el"], HashedWords)


def test_text_tables_must_be_300_dimensional(tmp_path):
    path = write_vectors(tmp_path / "small.vec", ["a", "b"], dim=50)
    with pytest.raises(InputError, match=r"small\.vec: holds vectors of dimension 50, expected 300"):
        build_text_embedder(tiny_config(text=(str(path),)))


def test_language_comes_once(tmp_path):
    path = write_vectors(tmp_path / "en.vec", ["a", "b"])
    with pytest.raises(InputError, match="expected each language once, got 'en' twice"):
        build_text_embedder(tiny_config(text=(f"en={path}", f"en={path}")))
    with pytest.raises(InputError, match="expected each language once"):
        build_text_embedder(tiny_config(text=(str(path), str(path))))


def test_map_needs_its_language(tmp_path):
    with pytest.raises(InputError, match="text_map: no --text for the language el"):
        build_text_embedder(tiny_config(text_map=(f"el={tmp_path / 'el.txt'}",)))


def test_extractors_are_made_in_the_order_of_the_options(vggish_file):
    config = tiny_config(acoustic="vggish,logmel", vggish=vggish_file, vggish_output="pool", logmel_stack=2)
    extractors = build_extractors(config)
    assert list(extractors) == ["vggish", "logmel"]
    assert extractors["vggish"].feature_dim == 512
    assert isinstance(extractors["logmel"], LogMelExtractor)
    assert extractors["logmel"].feature_dim == 128
    assert build_extractors(tiny_config(acoustic="none")) == {}
