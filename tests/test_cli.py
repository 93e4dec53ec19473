import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import docstring_parser
import numpy as np
import pytest
import soundfile
import torch
from making import (
    TINY,
    contents,
    make_corpus,
    random_thin_resnet34,
    random_vggish,
    read_rows,
    save_weights,
    tone,
    write_manifest,
    write_tone,
    write_vectors,
)

import pathosnet
from pathosnet import PathosNet, cli
from pathosnet.config import TrainConfig
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError

QUICK = [f"--{name}={value}" for name, value in TINY.items()]  # --epochs=2 …
COMMANDS = tuple(cli.COMMANDS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    cli.main(["train", str(corpus), "--out", str(folder), *QUICK])
    return folder


@pytest.fixture
def copied(corpus, tmp_path) -> Path:
    """A corpus that a test may damage."""
    shutil.copytree(corpus.parent, tmp_path / "corpus")
    return tmp_path / "corpus" / "corpus.csv"


def config_of(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())["config"]


def error_of(capsys, *arguments: object) -> str:
    """What a command that cannot be done says: one line on stderr, exit code 2, nothing on stdout."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert "\r" not in captured.err
    assert "Traceback" not in captured.err
    return captured.err.strip()


def shell(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pathosnet", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# In a shell


def test_module_says_its_version():
    done = shell("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, f"pathosnet {pathosnet.__version__}", "")


def test_errors_are_one_line_in_a_shell_and_a_traceback_with_debug(tmp_path):
    done = shell("predict", tmp_path / "nowhere", "a.wav")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'nowhere'}: holds no model")
    assert done.stderr.count("\n") == 1
    debugged = shell("--debug", "predict", tmp_path / "nowhere", "a.wav")
    assert debugged.returncode != 0
    assert "Traceback" in debugged.stderr
    assert "InputError" in debugged.stderr


def test_whole_way_in_a_shell(corpus, tmp_path):
    """Training says nothing but its results on stdout; predictions can be piped into other programs."""
    trained = shell("train", corpus.name, "--out", tmp_path / "run", *QUICK, "--progress=true", cwd=corpus.parent)
    assert trained.returncode == 0, trained.stderr
    assert [line.partition(":")[0] for line in trained.stdout.splitlines()] == ["split", "test", "leak", "saved"]
    assert "logmel-1-branches: 2 epochs" in trained.stderr
    assert "Warning" not in trained.stderr
    clip = corpus.parent / "anger_0.wav"
    predicted = shell("predict", tmp_path / "run", clip, "--text", "go away now", "--json")
    assert (predicted.returncode, predicted.stderr) == (0, "")
    assert json.loads(predicted.stdout)["label"] in PAPER_EMOTIONS


def wait_for(condition, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupted_training_leaves_nothing_behind(corpus, tmp_path):
    options = ["--epochs=100000", "--patience=100000", "--accelerator=cpu", "--text_width=4", "--audio_width=4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pathosnet", "train", str(corpus), "--out", str(tmp_path / "runs" / "run"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs ignore Ctrl-C, and their children would, too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_for(lambda: list(tmp_path.glob("runs/.run.*/logs/*/metrics.csv")), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert contents(tmp_path / "runs") == set()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; nothing was written"
    assert "Traceback" not in err


# train


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
    expected = {**given, "labels": given["labels"].split(","), "acoustic": ["logmel"], "progress": False}
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
    assert config_of(tmp_path / "yaml")["text"] == [f"en={vectors}", "el=hashed"]
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


# evaluate


def test_evaluation_repeats_the_metrics_of_the_run(run, corpus, capsys):
    capsys.readouterr()
    cli.main(["evaluate", str(run), str(corpus), "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    report = json.loads(captured.out)
    assert report.pop("what").startswith("the test part")
    expected = json.loads((run / "metrics.json").read_text())
    assert report["confusion"] == expected["confusion"]
    for name in ("accuracy", "uar", "precision", "recall", "f1", "auc"):
        assert report[name] == pytest.approx(expected[name], abs=1e-6)


def test_evaluation_prints_a_table(run, corpus, capsys):
    cli.main(["evaluate", str(run), str(corpus), "--part", "all"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("all 32 utterances of")
    assert lines[1].startswith("accuracy ")
    assert [line.split()[0] for line in lines[4:]] == list(PAPER_EMOTIONS)
    counts = np.array([[int(value) for value in line.split()[1:5]] for line in lines[4:]])
    assert counts.sum() == 32
    assert (counts.sum(axis=1) == 8).all()


def test_evaluation_draws_a_picture(run, corpus, tmp_path):
    for name in ("matrix.png", "matrix.svg"):
        cli.main(["evaluate", str(run), str(corpus), "--json", "--plot", str(tmp_path / name)])
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "matrix.svg").read_text()


@pytest.mark.parametrize("plot", ["missing_folder/matrix.png", "matrix.doc"])
def test_picture_that_cannot_be_written(run, corpus, tmp_path, capsys, plot):
    message = error_of(capsys, "evaluate", run, corpus, "--json", "--plot", tmp_path / plot)
    assert str(tmp_path / plot) in message


@pytest.mark.parametrize("without", ["text", "audio"])
def test_evaluation_without_one_input(run, corpus, capsys, without):
    reports = []
    for options in ([], ["--without", without]):
        capsys.readouterr()
        cli.main(["evaluate", str(run), str(corpus), "--part=all", "--json", *options])
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0]["auc"] != reports[1]["auc"]


def test_evaluation_maps_and_drops_labels(run, tmp_path, capsys):
    other = make_corpus(tmp_path / "other", per_class=2, emotions=("w", "joy", "fear"))
    capsys.readouterr()
    cli.main(["evaluate", str(run), str(other), "--json", "--label", "w=anger", "--drop-labels", "fear"])
    assert json.loads(capsys.readouterr().out)["utterances"] == 4


# corpora


@pytest.fixture
def emovo(tmp_path) -> Path:
    """A folder that looks like EMOVO, with a file that does not."""
    for name in ("f1/gio-f1-b1.wav", "m1/rab-m1-d1.wav", "m1/pau-m1-d1.wav", "notes.wav"):
        path = tmp_path / "emovo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path, 1.0)
    return tmp_path / "emovo"


def test_corpora_are_listed(capsys):
    cli.main(["corpora"])
    shown = capsys.readouterr().out
    assert "ravdess: RAVDESS (en), neutral, calm" in shown
    assert "from:    Zenodo, record 1188976; CC BY-NC-SA 4.0" in shown
    cli.main(["corpora", "list"])
    assert capsys.readouterr().out == shown
    cli.main(["corpora", "list", "--json"])
    assert [one["name"] for one in json.loads(capsys.readouterr().out)][:2] == ["iemocap", "emofilm"]


def test_corpus_is_imported_and_counted(emovo, tmp_path, capsys):
    cli.main(["corpora", "import", "emovo", str(emovo), "--out", str(tmp_path / "emovo.csv")])
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'emovo.csv'}: 3 utterances (happiness 1, anger 1, fear 1)\n"
    assert captured.err == "note: 1 not named like gio-f1-b1.wav: notes.wav\n"
    cli.main(["corpora", "stats", str(tmp_path / "emovo.csv"), "--drop-labels", "fear", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["total"]["counts"] == {"happiness": 1, "anger": 1}
    assert report["corpora"][0]["durations"]["total"] == 2.0
    cli.main(["corpora", "stats", str(tmp_path / "emovo.csv")])
    assert capsys.readouterr().out.splitlines()[1].split() == ["emovo", "it", "1", "1", "1", "3"]


def test_corpus_is_imported_by_a_pattern(emovo, tmp_path, capsys):
    options = ["--pattern", "{emotion}-{speaker}-{script}.wav", "--label", "rab=anger", "--label=gio=happiness"]
    options += ["--emotions=anger,happiness", "--language", "it"]
    cli.main(["corpora", "import", "mine", str(emovo), "--out", str(tmp_path / "mine.csv"), *options])
    capsys.readouterr()
    rows = read_rows(tmp_path / "mine.csv")
    assert [(row["emotion"], row["speaker"], row["script"], row["language"], row["corpus"]) for row in rows] == [
        ("happiness", "f1", "b1", "it", "mine"),
        ("anger", "m1", "d1", "it", "mine"),
    ]


def test_imports_that_cannot_be_done(emovo, tmp_path, capsys):
    out = ["--out", tmp_path / "x.csv"]
    assert "no importer is called 'x', only iemocap" in error_of(capsys, "corpora", "import", "x", emovo, *out)
    assert "expected Actor_01 … Actor_24" in error_of(capsys, "corpora", "import", "ravdess", emovo, *out)
    assert "required: --out; see pathosnet corpora --help" in error_of(capsys, "corpora", "import", "emovo", emovo)
    assert "'tell'" in error_of(capsys, "corpora", "tell")
    assert "expected KEY=VALUE" in error_of(capsys, "corpora", "import", "emovo", emovo, *out, "--label", "x")
    assert "happiness" in error_of(capsys, "corpora", "import", "iemocap", emovo, *out, "--happiness", "joy")
    assert "No such file" in error_of(capsys, "corpora", "stats", tmp_path / "absent.csv")
    assert not (tmp_path / "x.csv").exists()


def test_help_of_an_import_explains_its_options(capsys):
    shown = help_of(capsys, "corpora", "import", "ravdess")
    assert shown.startswith("usage: pathosnet corpora import CORPUS FOLDER --out CORPUS.csv")
    assert "IEMOCAP: excited" in shown
    assert "import" in help_of(capsys, "corpora")


# predict


def test_predictions_are_one_json_object_a_line(run, corpus, tmp_path, capsys):
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, np.stack([tone(0.5, rate=44_100)] * 2, axis=1), 44_100)
    clips = [str(corpus.parent / "anger_0.wav"), str(stereo), str(corpus.parent / "neutral_1.wav")]
    capsys.readouterr()
    cli.main(["predict", str(run), *clips, "--text", "go away", "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["audio"] for line in lines] == clips
    model = PathosNet.from_pretrained(run)
    for line, clip in zip(lines, clips, strict=True):
        assert list(line) == ["audio", "label", "probabilities", "valence"]
        alone = model.predict(clip, "go away")
        assert line["label"] == alone.label
        assert line["probabilities"] == pytest.approx(alone.probabilities, abs=1e-5)  # they were predicted together
        assert line["valence"] == pytest.approx(alone.valence, abs=1e-5)


def test_predictions_for_a_person_name_file_label_and_probabilities(run, corpus, capsys):
    clip = str(corpus.parent / "anger_0.wav")
    capsys.readouterr()
    cli.main(["predict", str(run), clip])
    prediction = PathosNet.from_pretrained(run).predict(clip)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{clip}: {prediction.label} (")
    for label, value in prediction.probabilities.items():
        assert f"{label} {value:.2f}" in line


def test_prediction_from_text_alone(run, capsys):
    capsys.readouterr()
    cli.main(["predict", str(run), "--text", "go away", "--json"])
    report = json.loads(capsys.readouterr().out)
    expected = PathosNet.from_pretrained(run).predict(text="go away")
    assert report == {"audio": None, **expected.to_dict()}


def test_language_chooses_the_words(tmp_path, capsys):
    from pathosnet.features import TextEmbedder, WordVectors
    from pathosnet.models import EmotionNetwork

    tables = {
        code: WordVectors.load(write_vectors(tmp_path / f"{code}.vec", ["no"], seed=seed))
        for seed, code in enumerate(("en", "it"))
    }
    PathosNet(EmotionNetwork({"text": 300}, 4), {}, TextEmbedder(tables)).save_pretrained(tmp_path / "model")
    reports = {}
    for code in ("en", "it"):
        capsys.readouterr()
        cli.main(["predict", str(tmp_path / "model"), "--text", "no", "--language", code, "--json"])
        reports[code] = json.loads(capsys.readouterr().out)["probabilities"]
    assert reports["en"] != reports["it"]
    message = error_of(capsys, "predict", tmp_path / "model", "--text", "no", "--language", "pl")
    assert "no word vectors for the language 'pl', only for en, it" in message


@pytest.mark.parametrize("arguments", [[], ["--text", ""]])
def test_prediction_from_nothing(run, capsys, arguments):
    error_of(capsys, "predict", run, *arguments)


# Help and usage


def help_of(capsys, *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    assert caught.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_lists_the_commands(capsys):
    shown = help_of(capsys)
    for command in COMMANDS:
        assert command in shown
    assert "--debug" in shown


def test_without_arguments_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("field", dataclasses.fields(TrainConfig), ids=lambda field: field.name)
def test_help_of_training_describes_every_option(field, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    descriptions = {p.arg_name: p.description for p in docstring_parser.parse_from_object(TrainConfig).params}
    shown = help_of(capsys, "train")
    assert f"--{field.name} " in shown
    assert len(descriptions[field.name]) > 10
    assert " ".join(descriptions[field.name].split()).rstrip(".") in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(command):
    parser = cli.COMMANDS[command].make_parser()
    for action in parser._actions:
        assert action.help, action.dest
    assert parser.description


def test_help_shows_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = help_of(capsys, "train")
    for default in ("default: 45)", "default: 0.001)", "default: 96.0)", "default: ('hashed',)"):
        assert default in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["train"],
        ["train", "corpus.csv"],
        ["train", "corpus.csv", "--out", "x", "--bogus", "1"],
        ["train", "corpus.csv", "--out", "x", "--epochs", "many"],
        ["train", "corpus.csv", "--out", "x", "--class-weights", "heavy"],
        ["evaluate", "run"],
        ["evaluate", "run", "corpus.csv", "--part", "some"],
        ["predict"],
        ["predict", "run", "a.wav", "--bogus"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exits_with_2(arguments, capsys):
    error_of(capsys, *arguments)


def test_unknown_option_is_named(capsys):
    assert "bogus" in error_of(capsys, "train", "corpus.csv", "--out", "x", "--bogus", "1")


# Bad input: one line that names the file (and the row), exit code 2


def write_samples(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


BAD_RECORDINGS = {
    "missing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "empty file": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("These are words, not sounds.\n" * 50),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "NaN": lambda path: write_samples(path, np.full(8000, np.nan, np.float32)),
    "infinite": lambda path: write_samples(path, np.full(8000, np.inf, np.float32)),
    "0 samples": lambda path: write_samples(path, np.zeros(0, np.float32)),
    "100 samples": lambda path: write_samples(path, np.zeros(100, np.float32)),
}


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recording_in_a_corpus_names_file_and_row(kind, run, copied, tmp_path, capsys):
    clip = copied.parent / "sadness_3.wav"
    row = next(i for i, r in enumerate(read_rows(copied), start=2) if r["audio"] == clip.name)
    BAD_RECORDINGS[kind](clip)
    (tmp_path / "out").mkdir()
    message = error_of(capsys, "train", copied, "--out", tmp_path / "out" / "run", *QUICK)
    assert f"{copied}, row {row}: " in message
    assert str(clip) in message
    assert contents(tmp_path / "out") == set()
    message = error_of(capsys, "evaluate", run, copied, "--json")
    assert f"{copied}, row {row}: " in message
    assert str(clip) in message


def refusal_of(capsys, run: Path, clip: Path) -> tuple[int, str]:
    """The exit code and the one line on stderr with which a recording is not predicted."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", str(run), str(clip)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return caught.value.code, captured.err


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recording_to_predict_is_named(kind, run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav")
    BAD_RECORDINGS[kind](clip)
    code, message = refusal_of(capsys, run, clip)
    assert code == (2 if kind == "folder" else 1)  # an empty folder holds nothing to predict
    assert message.startswith(f"error: {clip}: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable to root")
def test_recording_without_permission_is_named(run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav")
    clip.chmod(0)
    code, message = refusal_of(capsys, run, clip)
    assert code == 1
    assert message.startswith(f"error: {clip}: ")


def test_error_is_one_line_whatever_the_progress(copied, tmp_path, capsys):
    (copied.parent / "neutral_7.wav").write_bytes(b"")
    error_of(capsys, "train", copied, "--out", tmp_path / "run", "--epochs=1", "--progress=true")


BAD_MANIFESTS = {
    "empty": ("", "is empty"),
    "header only": ("audio,emotion\n", "holds no utterances"),
    "no audio column": ("file,emotion\nanger_0.wav,anger\n", "has no column 'audio'"),
    "no emotion column": ("audio,label\nanger_0.wav,anger\n", "has no column 'emotion'"),
    "unknown label": ("audio,emotion\nanger_0.wav,anger\nanger_1.wav,wistful\n", "row 3: expected an emotion"),
    "no label": ("audio,emotion\nanger_0.wav,anger\nanger_1.wav,\n", "row 3: has no emotion"),
    "cells": ("audio,emotion\nanger_0.wav,anger,x\n", "row 2: expected 2 cells, got 3"),
    "one emotion": ("audio,emotion\nanger_0.wav,anger\n", "expected at least two emotions"),
    "one example": (
        "audio,emotion\nsadness_0.wav,sadness\n" + "".join(f"anger_{i}.wav,anger\n" for i in range(8)),
        "row 2: the emotion 'sadness' has 1 example",
    ),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_bad_manifest_is_named(kind, copied, tmp_path, capsys):
    content, complaint = BAD_MANIFESTS[kind]
    copied.write_text(content)
    (tmp_path / "out").mkdir()
    message = error_of(capsys, "train", copied, "--out", tmp_path / "out" / "run", *QUICK)
    assert message.startswith(f"error: {copied}")
    assert complaint in message
    assert contents(tmp_path / "out") == set()


def test_smallest_corpus_that_is_allowed_can_be_trained_on(tmp_path, capsys):
    """The message about small classes asks for five examples: five have to do."""
    corpus = make_corpus(tmp_path / "corpus", per_class=5, emotions=("anger", "sadness"))
    cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), *QUICK])
    assert "saved:" in capsys.readouterr().out


def test_missing_manifest_is_named(tmp_path, run, capsys):
    missing = tmp_path / "missing.csv"
    assert f"error: {missing}: " in error_of(capsys, "train", missing, "--out", tmp_path / "run", *QUICK)
    assert f"error: {missing}: " in error_of(capsys, "evaluate", run, missing)


def test_folder_that_cannot_be_written_is_named(corpus, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "run"
    assert f"error: {target}: cannot be written" in error_of(capsys, "train", corpus, "--out", target, *QUICK)


def write_pickle_that_runs_code(path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "executed"),)

    torch.save({"features.0.weight": Evil()}, path)


BAD_WEIGHTS = {
    "missing": ("vggish.pth", lambda path: None),
    "text as h5": ("vggish.h5", lambda path: path.write_text("no weights")),
    "text as pth": ("vggish.pth", lambda path: path.write_text("no weights")),
    "empty": ("vggish.safetensors", lambda path: path.write_bytes(b"")),
    "cut off": (
        "vggish.safetensors",
        lambda path: save_weights(path, random_vggish()).write_bytes(path.read_bytes()[:100_000]),
    ),
    "another network": ("vggish.safetensors", lambda path: save_weights(path, random_thin_resnet34())),
    "another format": ("vggish.npz", lambda path: np.savez(path, a=np.zeros(3))),
    "a pickle that runs code": ("vggish.pth", write_pickle_that_runs_code),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_bad_weights_file_is_named(kind, corpus, tmp_path, capsys):
    name, write = BAD_WEIGHTS[kind]
    write(tmp_path / name)
    options = ["--acoustic=vggish", "--vggish-output=pool", "--vggish", tmp_path / name]
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "runs" / "run", *QUICK, *options)
    assert f"error: {tmp_path / name}: " in message
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "runs").exists() or contents(tmp_path / "runs") == set()


def test_weights_without_the_dense_layers_list_what_is_missing(corpus, tmp_path, capsys):
    weights = save_weights(tmp_path / "pool.safetensors", random_vggish("pool"))
    options = ["--acoustic=vggish", "--vggish", weights]
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, *options)
    assert f"error: {weights}: " in message
    assert "missing: dense.fc1_1.weight" in message


BAD_VECTORS = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_text(""),
    "another dimension": lambda path: write_vectors(path, ["a", "b"], dim=50),
    "prose": lambda path: path.write_text("These are no vectors.\nNone at all.\n"),
    "a cut line": lambda path: write_vectors(path, ["a"]).write_text(path.read_text() + "b 0.1 0.2\n"),
    "not a number": lambda path: write_vectors(path, ["a"]).write_text(path.read_text() + "b" + " nan" * 300 + "\n"),
}


@pytest.mark.parametrize("kind", BAD_VECTORS)
def test_bad_word_vectors_are_named(kind, corpus, tmp_path, capsys):
    path = tmp_path / "words.vec"
    BAD_VECTORS[kind](path)
    for value in (path, f"en={path}"):
        message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, "--text", value)
        assert f"error: {path}: " in message
    assert not (tmp_path / "run").exists()


def test_dimension_of_word_vectors_is_said(corpus, tmp_path, capsys):
    path = write_vectors(tmp_path / "words.vec", ["a", "b"], dim=50)
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, "--text", path)
    assert "dimension 50, expected 300" in message


def test_language_without_word_vectors_names_the_row(copied, tmp_path, capsys):
    rows = [{**row, "language": "pl" if i == 9 else "en"} for i, row in enumerate(read_rows(copied))]
    write_manifest(copied, rows)
    vectors = write_vectors(tmp_path / "en.vec", ["a", "b"])
    message = error_of(capsys, "train", copied, "--out", tmp_path / "run", *QUICK, "--text", f"en={vectors}")
    assert f"{copied}, row 11: " in message
    assert "'pl'" in message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_damaged_model_is_named(name, damage, run, corpus, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:50]) if damage == "cut off" else path.unlink()
    for arguments in (
        ["predict", tmp_path / "run", corpus.parent / "anger_0.wav"],
        ["evaluate", tmp_path / "run", corpus],
    ):
        assert str(tmp_path / "run") in error_of(capsys, *arguments)


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_damaged_run_is_named(content, run, corpus, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "run.json").write_bytes(content)
    assert "run.json" in error_of(capsys, "evaluate", tmp_path / "run", corpus, "--json")


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


def test_debug_shows_the_error_itself(tmp_path):
    with pytest.raises(InputError, match="holds no model"):
        cli.main(["--debug", "predict", str(tmp_path), "a.wav"])


def test_mistakes_of_the_library_are_not_hidden(run, corpus, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(PathosNet, "predict_batch", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["predict", str(run), str(corpus.parent / "anger_0.wav")])


# In words


def test_debug_may_stand_behind_the_command(tmp_path):
    with pytest.raises(InputError):
        cli.main(["predict", str(tmp_path), "a.wav", "--debug"])


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
