"""Where options may stand, how often, and what files of options may say."""

import dataclasses
import json

import pytest
import yaml
from commands import error_of, help_of

from pathosnet import cli
from pathosnet.cli import COMMANDS, find_command
from pathosnet.experiments.config import GROUPS, TrainConfig
from pathosnet.options import Mark

TRAIN = ("train", "a.csv", "--out", "x")


def options_of(capsys, *arguments: object) -> TrainConfig:
    """What a training command is going to use."""
    capsys.readouterr()
    cli.main([*map(str, arguments), "--print-config"])
    return TrainConfig(**yaml.safe_load(capsys.readouterr().out))


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "{run}", "--json", "{clip}"],
        ["predict", "--json", "{run}", "{clip}"],
        ["predict", "--device=cpu", "{run}", "--workers", "0", "{clip}", "--json"],
    ],
    ids=" ".join,
)
def test_options_may_stand_anywhere(arguments, run, corpus, capsys):
    clip = corpus.parent / "anger_0.wav"
    capsys.readouterr()
    cli.main([argument.format(run=run, clip=clip) for argument in arguments])
    assert json.loads(capsys.readouterr().out)["audio"] == str(clip)


def test_options_may_stand_between_several_arguments(capsys):
    config = options_of(capsys, "train", "--epochs", "3", "a.csv", "--out=x", "b.csv", "--seed", "2", "c.csv")
    assert (config.epochs, config.seed) == (3, 2)
    config = options_of(capsys, "finetune", "RUN", "--epochs", "3", "corpus.csv", "--out", "x")
    assert (config.epochs, config.learning_rate, config.labels) == (3, 3e-4, ("corpus",))


def test_lists_are_repeated_or_joined_with_commas(capsys):
    config = options_of(capsys, *TRAIN, "--labels", "a,b", "--labels=c", "--text", "en=a,b.vec", "--text=it=c.vec")
    assert config.labels == ("a", "b", "c")
    assert config.text == ("en=a,b.vec", "it=c.vec")
    assert options_of(capsys, *TRAIN, "--label", "x,y=anger").label == ("x,y=anger",)


def test_flags_go_before_files_and_files_before_presets(tmp_path, capsys):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("epochs: 7\nseed: 7\nclass_weights: none\n")
    second.write_text("seed: 8\nlearning_rate: 1e-4\n")
    given = ["--epochs=3", "--config", first, "--preset", "offline", "--config", second]
    config = options_of(capsys, *TRAIN, *given)
    assert (config.epochs, config.seed, config.class_weights, config.patience) == (3, 8, "none", 45)
    assert config.learning_rate == 1e-4


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(TrainConfig)])
def test_null_in_yaml_is_the_default(name, tmp_path, capsys):
    (tmp_path / "options.yaml").write_text(f"{name}: null\n")
    assert options_of(capsys, *TRAIN, "--config", tmp_path / "options.yaml") == TrainConfig()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epoch: 3\n", "epoch: there is no such option; did you mean epochs?"),
        ("epochs: many\n", "epochs: expected a whole number, got 'many'"),
        ("epochs: [3]\n", "epochs: expected a whole number, got [3]"),
        ("labels: [yes, anger]\n", "labels: expected a list of names, got [True, 'anger']"),
        ("epochs: [", "is not valid YAML"),
        ("- epochs\n", "expected lines such as epochs: 3"),
    ],
)
def test_a_mistake_in_a_file_names_file_and_option(content, message, tmp_path, capsys):
    path = tmp_path / "options.yaml"
    path.write_text(content)
    said = error_of(capsys, *TRAIN, "--config", path)
    assert said.startswith(f"error: {path}: ")
    assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch", "3"], "epoch: there is no such option; did you mean --epochs?; see pathosnet train --help"),
        (["--epochs", "many"], "epochs: expected a whole number, got 'many'"),
        (["--epochs"], "'--epochs'"),
        (["--logger", "--json"], "logger: expected a value, got the option --json"),
        (["--class-weights", "heavy"], "class_weights: expected none or balanced, got 'heavy'"),
    ],
    ids=str,
)
def test_a_mistake_says_what_was_meant(arguments, message, capsys):
    assert message in error_of(capsys, *TRAIN, *arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_nothing_of_python(command, capsys):
    found = find_command(command)
    names = [[command], *([command, name] for name in getattr(found, "commands", ()))]
    for name in names:
        shown = help_of(capsys, *name)
        for word in ("type:", "<class", "Optional", "Literal", "default: (", "None)", "dict["):
            assert word not in shown, word


def test_help_of_training_shows_common_options_first_and_the_others_by_topic(capsys):
    shown = help_of(capsys, "train")
    topics = ["Options:", "Common options:", *((group.__doc__ or "").splitlines()[0].rstrip(".") for group in GROUPS)]
    places = [shown.index(topic) for topic in topics]
    assert places == sorted(places)
    for name in TrainConfig.marked(Mark.COMMON):
        assert places[1] < shown.index(f"--{name.replace('_', '-')} ") < places[2]
