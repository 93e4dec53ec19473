import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from making import (
    contents,
    make_corpus,
    random_vggish,
    read_rows,
    save_weights,
    tiny_config,
    tone,
    write_manifest,
)
from runs import assert_consistent

import pathosnet
from pathosnet import PathosNet
from pathosnet.corpora import read_manifest, split_corpus
from pathosnet.corpora.contents import identify
from pathosnet.corpora.splits import find_leak
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.run_folder import Run, choose_part
from pathosnet.experiments.train import train

RUN_FILES = {
    *("README.md", "config.json", "embeddings.safetensors", "model.safetensors", "run.json", "split.csv"),
    *("metrics.json", "predictions.csv", "confusion_matrix.png"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def long_corpus(tmp_path_factory) -> Path:
    """Clips about as long as one example of VGGish; some are shorter, and have none."""
    return make_corpus(tmp_path_factory.mktemp("long"), per_class=7, seconds=(0.9, 1.2))


@pytest.fixture(scope="module")
def vggish_file(tmp_path_factory) -> str:
    return str(save_weights(tmp_path_factory.mktemp("weights") / "vggish.safetensors", random_vggish()))


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Run:
    """A run over log-mel frames and hashed words."""
    return train(corpus, tmp_path_factory.mktemp("runs") / "finished", tiny_config(logger="csv", seed=3))


@pytest.fixture(scope="module")
def ensemble(long_corpus, vggish_file, tmp_path_factory) -> Run:
    """A run over log-mel frames and VGGish."""
    config = tiny_config(
        acoustic="logmel,vggish", vggish=vggish_file, vggish_output="pool", epochs=1, learning_rate=1e-2, num_folds=4
    )
    return train(long_corpus, tmp_path_factory.mktemp("runs") / "ensemble", config)


# What a run writes


def test_run_writes_its_files_and_no_others(finished):
    assert contents(finished.folder) >= RUN_FILES
    folders = {"text", "logs", "logs/logmel-1-branches", "logs/logmel-1-branches/metrics.csv"}
    assert contents(finished.folder) - RUN_FILES <= folders
    assert contents(finished.folder.parent) == {
        "finished",
        *(f"finished/{name}" for name in contents(finished.folder)),
    }


def test_run_describes_itself(finished, corpus):
    described = json.loads((finished.folder / "run.json").read_text())
    config = described["config"]
    assert set(config) == {field.name for field in dataclasses.fields(tiny_config())}
    assert config["labels"] == list(PAPER_EMOTIONS)
    assert (config["epochs"], config["batch_size"], config["learning_rate"], config["seed"]) == (2, 8, 1e-3, 3)
    assert described["versions"]["pathosnet"] == pathosnet.__version__
    assert described["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert {"python", "torchaudio", "pytorch-lightning", "numpy", "soundfile"} <= set(described["versions"])
    guarantee = described["split"].pop("guarantee")
    assert guarantee.startswith("of 3 test speakers, 3 in training and 2 in validation; of 7 test sentences, 7 in")
    assert described["split"] == {"strategy": "random", "train": 20, "validation": 5, "test": 7}
    assert described["corpus"]["manifests"] == ["corpus.csv"]
    assert described["corpus"]["counts"] == dict.fromkeys(PAPER_EMOTIONS, 8)
    (stage,) = described["stages"]
    assert stage["name"] == "logmel-1-branches"
    assert stage["epochs"] == 2
    assert described["seconds"] > 0


def test_configuration_in_the_run_makes_the_same_configuration(finished):
    config = json.loads((finished.folder / "run.json").read_text())["config"]
    assert dataclasses.asdict(tiny_config(**config)) == config | {
        name: tuple(value) for name, value in config.items() if isinstance(value, list)
    }


def test_run_splits_as_the_library_does(finished, corpus):
    expected = split_corpus(read_manifest(corpus, PAPER_EMOTIONS), "auto", seed=3)
    assert finished.split == expected
    parts = {int(row["row"]) - 2: row["part"] for row in read_rows(finished.folder / "split.csv")}
    for name, part in expected.parts().items():
        assert all(parts[i] == name for i in part)


def test_run_returns_what_it_saved(finished):
    again = PathosNet.from_pretrained(finished.folder)
    assert again.predict(tone(), "go away", sample_rate=16_000) == finished.model.predict(
        tone(), "go away", sample_rate=16_000
    )


def test_confusion_matrix_is_a_picture(finished):
    assert (finished.folder / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


# Every combination of inputs


def test_log_mel_and_hashed_words(finished, corpus):
    assert finished.model.network.input_dims == {"logmel": 256, "text": 300}
    assert_consistent(finished, corpus)


def test_ensemble_of_log_mel_and_vggish(ensemble, long_corpus):
    assert set(ensemble.model.network.input_dims) == {"logmel", "vggish", "text"}
    names = [stage["name"] for stage in json.loads((ensemble.folder / "run.json").read_text())["stages"]]
    assert names == ["logmel-1-branches", "vggish-1-branches", "vggish-2-unlocked", "ensemble-3-classifier"]
    assert_consistent(ensemble, long_corpus)


def test_tuned_layer_is_saved_with_the_model(ensemble, vggish_file):
    original = random_vggish().state_dict()
    saved = PathosNet.from_pretrained(ensemble.folder).acoustic["vggish"].backbone.state_dict()
    different = {name for name, value in original.items() if not torch.equal(value, saved[name])}
    assert different == {"conv4_2.weight", "conv4_2.bias"}


# The same numbers again


def numbers(run: Run) -> list[list[float]]:
    return [[float(row[label]) for label in run.model.labels] for row in read_rows(run.folder / "predictions.csv")]


def test_same_seed_gives_the_same_numbers(finished, corpus, tmp_path):
    torch.rand(5)
    again = train(corpus, tmp_path / "again", tiny_config(logger="none", seed=3))
    assert numbers(again) == numbers(finished)
    assert again.metrics == finished.metrics
    ours, theirs = again.model.network.state_dict(), finished.model.network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_another_seed_gives_other_numbers(finished, corpus, tmp_path):
    other = train(corpus, tmp_path / "other", tiny_config(seed=4))
    assert numbers(other) != numbers(finished)


# Evaluation


@pytest.mark.parametrize(("part", "count"), [("train", 20), ("validation", 5), ("test", 7), ("all", 32), ("auto", 7)])
def test_any_part_can_be_measured(finished, corpus, part, count):
    measured, what = evaluate(finished.folder, corpus, part, progress=False)
    assert measured.utterances == count
    assert str(count) in what


def test_measuring_everything_says_that_some_of_it_was_trained_on(finished, corpus):
    _, what = evaluate(finished.folder, corpus, "all", progress=False)
    assert what.endswith("corpus.csv; the model was trained on 20 of them and validated on 5")
    assert evaluate(finished.folder, corpus, progress=False)[1].endswith("; the model was trained on none of them")


def test_other_corpora_are_measured_as_a_whole(finished, tmp_path):
    other = make_corpus(tmp_path / "other", per_class=2, seed=5)
    measured, what = evaluate(finished.folder, other, progress=False)
    assert measured.utterances == 8
    assert what == f"all 8 utterances of {other}; the model was trained on none of them"
    with pytest.raises(InputError, match=r"was not trained on .*evaluate --part all"):
        evaluate(finished.folder, other, "test", progress=False)


def test_saved_model_without_its_run_can_be_measured(finished, corpus, tmp_path):
    finished.model.save_pretrained(tmp_path / "model")
    assert evaluate(tmp_path / "model", corpus, progress=False)[0].utterances == 32


def test_validation_part_has_the_loss_and_recall_that_training_reported(finished, corpus):
    measured, _ = evaluate(finished.folder, corpus, "validation", progress=False)
    (stage,) = json.loads((finished.folder / "run.json").read_text())["stages"]
    assert measured.accuracy == pytest.approx(stage["best"]["val_accuracy"], abs=1e-6)


def test_corpus_of_one_emotion_can_be_measured(finished, tmp_path):
    other = make_corpus(tmp_path / "other", per_class=3, emotions=("anger",))
    measured, _ = evaluate(finished.folder, other, progress=False)
    assert measured.utterances == 3
    assert measured.auc is None


@pytest.mark.parametrize("taken", ["audio", "text"])
def test_inputs_can_be_taken_away(finished, corpus, taken):
    measured, _ = evaluate(finished.folder, corpus, "all", progress=False, **{f"use_{taken}": False})
    rows = read_rows(corpus)
    audios = [None if taken == "audio" else corpus.parent / row["audio"] for row in rows]
    texts = [None if taken == "text" else row["text"] for row in rows]
    predictions = finished.model.predict_batch(audios, texts)
    expected = np.mean([p.label == row["emotion"] for p, row in zip(predictions, rows, strict=True)])
    assert measured.accuracy == pytest.approx(expected)


def test_something_must_be_left(finished, corpus):
    with pytest.raises(InputError, match="nothing is left that this model reads"):
        evaluate(finished.folder, corpus, use_audio=False, use_text=False)


def test_recordings_are_known_wherever_they_are(finished, corpus, tmp_path):
    """A corpus that was moved, renamed, converted, shortened and mixed with another is known by its samples."""
    rows = read_rows(corpus)
    (tmp_path / "moved").mkdir()
    for number, row in enumerate(rows):
        samples, rate = soundfile.read(corpus.parent / row["audio"], dtype="int16")
        row["audio"] = f"{number}.flac"
        soundfile.write(tmp_path / "moved" / row["audio"], samples, rate)
    kept = [*rows[::-2], *read_rows(make_corpus(tmp_path / "moved/new", per_class=1, seed=9))]
    kept[-4:] = [{**row, "audio": f"new/{row['audio']}"} for row in kept[-4:]]
    moved = write_manifest(tmp_path / "moved/other.csv", kept)

    parts = [row["part"] for row in read_rows(finished.folder / "split.csv")][::-2]
    measured, what = evaluate(finished.folder, moved, "test", progress=False)
    assert measured.utterances == parts.count("test") > 0
    assert what.startswith(
        f"the test part of {moved}, {parts.count('test')} of 20 utterances; the model was trained on"
    )
    measured, what = evaluate(finished.folder, moved, progress=False)
    assert measured.utterances == parts.count("test") + 4
    assert "and 4 utterances that are new to the model" in what
    assert what.endswith("the model was trained on none of them")
    _, what = evaluate(finished.folder, moved, "all", progress=False)
    assert f"was trained on {parts.count('train')} of them" in what
    seen = write_manifest(moved, [row for row, part in zip(kept, parts, strict=False) if part == "train"])
    with pytest.raises(InputError, match="it has no test part; evaluate --part all"):
        evaluate(finished.folder, seen, progress=False)


def test_rows_that_were_taken_out_since_confuse_nothing(finished, corpus, tmp_path):
    shutil.copytree(corpus.parent, tmp_path / "corpus")
    shorter = write_manifest(tmp_path / "corpus/corpus.csv", read_rows(corpus)[3:])
    parts = [row["part"] for row in read_rows(finished.folder / "split.csv")][3:]
    found = choose_part(finished.folder, identify(read_manifest(shorter, PAPER_EMOTIONS)), "test")[0]
    assert list(found) == [i for i, part in enumerate(parts) if part == "test"]


def test_runs_without_contents_know_recordings_by_name(finished, corpus, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "old")
    rows = [{k: v for k, v in row.items() if k != "content"} for row in read_rows(finished.folder / "split.csv")]
    write_manifest(tmp_path / "old/split.csv", rows)
    measured, what = evaluate(tmp_path / "old", corpus, progress=False)
    assert measured == evaluate(finished.folder, corpus, progress=False)[0]
    assert what.endswith("the model was trained on none of them, told by their names: the run is of an older version")


def test_texts_are_known_by_what_they_say_and_who_says_it(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", audio="", text=lambda row, emotion: f"{emotion} number {row}")
    run = train(corpus, tmp_path / "run", tiny_config(acoustic="none"))
    moved = write_manifest(tmp_path / "moved.csv", read_rows(corpus)[::-1])
    measured, what = evaluate(run.folder, moved, progress=False)
    assert measured.utterances == run.metrics.utterances
    assert "the test part" in what


def test_files_that_travel_name_no_folder_of_the_machine(ensemble, tmp_path):
    for name in ("run.json", "config.json", "README.md", "split.csv"):
        text = (ensemble.folder / name).read_text()
        assert str(tmp_path.parent) not in text, name
    config = json.loads((ensemble.folder / "run.json").read_text())["config"]
    assert config["vggish"] == "vggish.safetensors"


# Leaks


def test_leaks_are_counted(tmp_path):
    rows = [
        ("train", "ann", "good morning"),
        ("train", "bob", "good night"),
        ("train", "ann", ""),
        ("dev", "cid", "only here"),
        ("test", "ann", "good morning"),
        ("test", "dan", "never heard"),
        ("test", "cid", "only here"),
        ("test", "", ""),
    ]
    manifest = write_manifest(
        tmp_path / "corpus.csv",
        [
            {"emotion": ("joy", "anger")[i % 2], "split": part, "speaker": speaker, "text": text}
            for i, (part, speaker, text) in enumerate(rows)
        ],
    )
    corpus = read_manifest(manifest, PAPER_EMOTIONS, needs_audio=False)
    assert find_leak(corpus, split_corpus(corpus)) == {
        "test_speakers": 3,
        "test_speakers_in_training": 1,
        "test_sessions": 0,
        "test_sessions_in_training": 0,
        "test_sentences": 3,
        "test_sentences_in_training": 1,
    }


def test_leaks_are_written_and_returned(finished):
    described = json.loads((finished.folder / "run.json").read_text())
    assert described["leak"] == finished.leak
    tested = [row for row in read_rows(finished.folder / "split.csv") if row["part"] == "test"]
    speakers = len({row["speaker"] for row in tested})
    assert finished.leak["test_speakers"] == finished.leak["test_speakers_in_training"] == speakers
