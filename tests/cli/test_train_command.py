"""``pathosnet train``: its options, and what comes of them."""

import dataclasses
import json
import re
import shutil

import pytest
from commands import QUICK, config_of, error_of, help_of
from making import TINY, contents, make_corpus, random_vggish, read_rows, save_weights, write_manifest, write_vectors

from pathosnet import PathosNet, cli
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiments.config import TrainConfig
from pathosnet.options import descriptions


def test_training_writes_a_run_and_says_how_it_went(corpus, tmp_path, capsys):
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *QUICK])
    captured = capsys.readouterr()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    lines = dict(line.split(":", 1) for line in captured.out.splitlines())
    assert lines["split"].strip() == "random (train 20, validation 5, test 7)"
    assert f"accuracy {metrics['accuracy']:.3f}, UAR {metrics['uar']:.3f}" in lines["test"]
    assert "test speakers also occur in training" in lines["leak"]
    assert lines["saved"].strip() == str(tmp_path / "run")
    assert captured.err == ""
    assert PathosNet.from_pretrained(tmp_path / "run").labels == PAPER_EMOTIONS


def test_every_option_reaches_the_configuration(corpus, tmp_path):
    given = {
        **TINY,
        "labels": "sadness,neutral,anger,happiness",
        "acoustic": "logmel",
        "logmel_stack": 2,
        "num_blocks": 1,
        "dropout": 0.25,
        "modality_dropout": 0.1,
        "class_weights": "balanced",
        "label_smoothing": 0.05,
        "augmentation": "masks",
        "learning_rate": 0.002,
        "early_stopping_metric": "uar",
        "split": "speaker",
        "num_folds": 4,
        "fold": 2,
        "seed": 7,
        "progress": "false",
    }
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *(f"--{k}={v}" for k, v in given.items())])
    config = config_of(tmp_path / "run")
    expected = {**given, "labels": given["labels"].split(","), "acoustic": ["logmel"], "augmentation": ["masks"]}
    expected["progress"] = False
    assert {name: config[name] for name in expected} == expected


def test_yaml_file_equals_flags(corpus, tmp_path):
    vectors = write_vectors(tmp_path / "en.vec", ["go", "away", "wonderful"])
    (tmp_path / "options.yaml").write_text(
        "epochs: 2\ntext_width: 4\naudio_width: 4\nbatch_size: 8\naccelerator: cpu\nprogress: false\nlogger: none\n"
        "learning_rate: 0.003\nlabels: [anger, happiness, sadness, neutral]\nacoustic: logmel\nfine_tune: false\n"
        f"text:\n- en={vectors}\n- el=hashed\nlabel:\n- ira=anger\n",
        encoding="utf-8",
    )
    flags = ["--learning_rate=0.003", "--labels=anger,happiness,sadness,neutral", "--acoustic=logmel"]
    flags += ["--fine_tune=false", f"--text=en={vectors}", "--text=el=hashed", "--label=ira=anger"]
    write_manifest(
        tmp_path / "corpus.csv",
        [{**row, "audio": corpus.parent / row["audio"], "language": "en"} for row in read_rows(corpus)],
    )
    train = ["train", str(tmp_path / "corpus.csv"), "--out"]
    cli.main([*train, str(tmp_path / "yaml"), "--config", str(tmp_path / "options.yaml")])
    cli.main([*train, str(tmp_path / "flags"), *QUICK, *flags])
    assert config_of(tmp_path / "yaml") == config_of(tmp_path / "flags")
    assert config_of(tmp_path / "yaml")["text"] == [f"en={vectors.name}", "el=hashed"]
    assert read_rows(tmp_path / "yaml" / "predictions.csv") == read_rows(tmp_path / "flags" / "predictions.csv")


def test_flags_go_before_the_yaml_file(corpus, tmp_path):
    (tmp_path / "options.yaml").write_text("epochs: 7\nbatch_size: 5\n", encoding="utf-8")
    given = ["--config", str(tmp_path / "options.yaml"), *QUICK, "--epochs", "1", "--batch_size", "16"]
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *given])
    assert (config_of(tmp_path / "run")["epochs"], config_of(tmp_path / "run")["batch_size"]) == (1, 16)


def test_options_of_a_run_make_the_same_run_again(run, corpus, tmp_path):
    """JSON is YAML: what run.json says can be given back."""
    (tmp_path / "again.yaml").write_text(json.dumps(config_of(run)), encoding="utf-8")
    cli.main(["train", str(corpus), "--out", str(tmp_path / "again"), "--config", str(tmp_path / "again.yaml")])
    assert config_of(tmp_path / "again") == config_of(run)
    assert read_rows(tmp_path / "again" / "predictions.csv") == read_rows(run / "predictions.csv")


@pytest.mark.parametrize("dash", ["-", "_"])
def test_dashes_and_underscores_are_the_same(corpus, tmp_path, dash):
    options = ["--batch_size=4", "--min_learning_rate", "0.0005", "--drop_labels", "Drop-This"]
    options = [re.sub("(?<=[a-z])_(?=[a-z])", dash, o) if o.startswith("--") else o for o in options]
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *QUICK, *options])
    config = config_of(tmp_path / "run")
    assert (config["batch_size"], config["min_learning_rate"], config["drop_labels"]) == (4, 5e-4, ["Drop-This"])


def test_values_keep_their_dashes(copied, tmp_path):
    rows = [
        {**row, "emotion": "hot-anger" if row["emotion"] == "anger" else row["emotion"]} for row in read_rows(copied)
    ]
    write_manifest(copied, rows)
    cli.main(["train", str(copied), "--out", str(tmp_path / "run"), *QUICK, "--label=hot-anger=anger"])
    assert config_of(tmp_path / "run")["label"] == ["hot-anger=anger"]


def test_repeated_text_options_are_all_taken(copied, tmp_path):
    files = {code: write_vectors(tmp_path / f"{code}.vec", ["go", "away", code]) for code in ("en", "it")}
    rows = [{**row, "language": ("en", "it")[i % 2]} for i, row in enumerate(read_rows(copied))]
    write_manifest(copied, rows)
    texts = [part for code, file in files.items() for part in ("--text", f"{code}={file}")]
    cli.main(["train", str(copied), "--out", str(tmp_path / "run"), *QUICK, *texts])
    assert list(PathosNet.from_pretrained(tmp_path / "run").text.tables) == ["en", "it"]


def test_pretrained_features_are_trained_from_their_file(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", per_class=4, emotions=("anger", "sadness"), seconds=(1.0, 1.1))
    weights = save_weights(tmp_path / "vggish.safetensors", random_vggish())
    options = ["--acoustic", "vggish", "--vggish", str(weights), "--vggish-output", "pool", "--text", "none"]
    options += ["--num-folds", "3", "--validation-fraction", "0.5"]
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *QUICK, "--epochs=1", *options])
    assert PathosNet.from_pretrained(tmp_path / "run").network.input_dims == {"vggish": 512}


def test_existing_run_is_replaced_only_if_asked(run, corpus, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    command = ["train", corpus, "--out", tmp_path / "run", *QUICK]
    assert "--overwrite" in error_of(capsys, *command)
    cli.main([*map(str, command), "--overwrite", "--seed=9"])
    assert config_of(tmp_path / "run")["seed"] == 9


@pytest.mark.parametrize("order", [("--epochs=1", "--preset", "offline"), ("--preset=offline", "--epochs=1")])
def test_options_change_a_preset_wherever_they_stand(corpus, tmp_path, order):
    small = ["--audio-width=4", "--text-width=4", "--accelerator=cpu", "--progress=false"]
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *order, *small])
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert (config["class_weights"], config["early_stopping_metric"]) == ("balanced", "uar")
    assert config["epochs"] == 1


def test_unknown_preset(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", "corpus.csv", "--out", "run", "--preset", "best"])
    assert stopped.value.code == 2
    assert "preset: expected authors-v2, baseline," in capsys.readouterr().err


def test_smallest_corpus_that_is_allowed_can_be_trained_on(tmp_path, capsys):
    """The message about small classes asks for five examples: five have to do."""
    corpus = make_corpus(tmp_path / "corpus", per_class=5, emotions=("anger", "sadness"))
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *QUICK])
    assert "saved:" in capsys.readouterr().out


@pytest.mark.parametrize("field", dataclasses.fields(TrainConfig), ids=lambda field: field.name)
def test_help_of_training_describes_every_option(field, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    description = descriptions(TrainConfig)[field.name]
    shown = help_of(capsys, "train")
    assert f"--{field.name.replace('_', '-')} " in shown
    assert len(description) > 10
    assert " ".join(description.split()).rstrip(".") in shown


def test_help_shows_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = help_of(capsys, "train")
    for default in ("default: 45)", "default: 0.001)", "default: 96.0)", "default: hashed)"):
        assert default in shown


@pytest.mark.parametrize(
    ("option", "value"), [("epochs", "0"), ("acoustic", "mfcc"), ("fold", "9"), ("dropout", "1"), ("label", "x")]
)
def test_option_out_of_range_is_named(option, value, corpus, tmp_path, capsys):
    assert option in error_of(capsys, "train", corpus, "--out", tmp_path / "run", f"--{option}={value}")


@pytest.mark.parametrize(
    ("option", "value"), [("accelerator", "abacus"), ("devices", "many"), ("precision", "3"), ("strategy", "none")]
)
def test_option_that_lightning_refuses_is_named(option, value, corpus, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "out" / "run", *QUICK, f"--{option}={value}")
    assert value in message
    assert contents(tmp_path / "out") == set()


@pytest.mark.parametrize("content", [None, "epochs: [", "epoch: 3\n", "epochs: many\n"])
def test_bad_configuration_file_is_one_line(content, corpus, tmp_path, capsys):
    if content is not None:
        (tmp_path / "options.yaml").write_text(content)
    error_of(capsys, "train", corpus, "--out", tmp_path / "run", "--config", tmp_path / "options.yaml")
    assert not (tmp_path / "run").exists()


def test_error_is_one_line_whatever_the_progress(copied, tmp_path, capsys):
    (copied.parent / "neutral_7.wav").write_bytes(b"")
    error_of(capsys, "train", copied, "--out", tmp_path / "run", "--epochs=1", "--progress=true")


def test_folder_that_cannot_be_written_is_named(corpus, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "run"
    assert f"error: {target}: cannot be written" in error_of(capsys, "train", corpus, "--out", target, *QUICK)
