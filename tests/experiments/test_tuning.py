from pathlib import Path

import optuna
import pytest
import yaml
from making import make_corpus, read_rows, tiny_config

from pathosnet import cli
from pathosnet.errors import InputError
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.train import train
from pathosnet.experiments.tune import DEFAULT_SEARCH, TUNABLE, Choice, Range, parse_search, tune


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def test_search_is_read():
    assert parse_search(["learning-rate=log:1e-4:0.01", "num_blocks=1:3", "augmentation=none,masks"]) == {
        "learning_rate": Range(1e-4, 0.01, log=True),
        "num_blocks": Range(1, 3),
        "augmentation": Choice(("none", "masks")),
    }


def test_default_search_is_over_options_of_training():
    assert set(parse_search(DEFAULT_SEARCH)) <= set(TUNABLE) <= set(TrainConfig.__dataclass_fields__)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("seed=1,2", "with a name out of .*learning_rate, .*, got 'seed=1,2'"),
        ("dropout", "expected NAME=VALUES"),
        ("dropout=0.5:0.1", "expected LOW:HIGH or log:LOW:HIGH"),
        ("dropout=low:high", "expected LOW:HIGH"),
        ("learning_rate=log:0:1", "above 0 for log"),
    ],
)
def test_search_that_makes_no_sense(value, message):
    with pytest.raises(InputError, match=message):
        parse_search([value])


def test_best_trial_is_the_one_that_training_reaches(corpus, tmp_path):
    found = tune([corpus], tmp_path / "tuned", tiny_config(), search=["audio_width=2,8", "dropout=0.0:0.5"], trials=3)
    rows = read_rows(tmp_path / "tuned" / "trials.csv")
    losses = [float(row["val_loss"]) for row in rows]
    assert found.best_loss == pytest.approx(min(losses), rel=1e-5)
    best = rows[losses.index(min(losses))]
    assert found.best == {"audio_width": int(best["audio_width"]), "dropout": pytest.approx(float(best["dropout"]))}
    written = yaml.safe_load((tmp_path / "tuned" / "best.yaml").read_text())
    assert written == found.best
    run = train(corpus, tmp_path / "run", tiny_config(**written))
    assert (tmp_path / "run" / "run.json").is_file()
    assert run.split.test


def test_search_goes_on(corpus, tmp_path):
    for trials in (2, 3):
        found = tune([corpus], tmp_path / "tuned", tiny_config(epochs=1), search=["dropout=0.0:0.5"], trials=trials)
    assert found.trials == 5
    assert len({row["dropout"] for row in read_rows(tmp_path / "tuned" / "trials.csv")}) == 5


def test_storage_can_be_shared(corpus, tmp_path):
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    for machine in ("a", "b"):
        found = tune(
            [corpus], tmp_path / machine, tiny_config(epochs=1), search=["dropout=0.0:0.5"], trials=1, storage=storage
        )
    assert found.trials == 2
    assert not list(tmp_path.glob("*/study.db"))


def test_hopeless_trials_end_early(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(
        optuna.pruners, "MedianPruner", lambda **_: optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=2)
    )
    config = tiny_config(epochs=5)
    with pytest.raises(InputError, match="no trial was finished"):
        tune([corpus], tmp_path / "tuned", config, search=["dropout=0.0:0.5"], trials=2)
    study = optuna.load_study(study_name="pathosnet", storage=f"sqlite:///{tmp_path / 'tuned' / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 2
    assert all(len(trial.intermediate_values) == 3 for trial in study.trials)


def test_tuning_is_for_one_network(corpus, tmp_path):
    config = tiny_config(acoustic=("logmel", "vggish"), vggish="vggish.h5")
    with pytest.raises(InputError, match=r"tuning is for one network: .* got logmel, vggish"):
        tune([corpus], tmp_path / "tuned", config)


def test_value_that_training_refuses_is_refused_before_the_search(corpus, tmp_path):
    with pytest.raises(InputError, match="batch_size: expected a number above 0, got 0"):
        tune([corpus], tmp_path / "tuned", tiny_config(), search=["batch_size=0,8"])
    assert not (tmp_path / "tuned").exists()


def test_command(corpus, tmp_path, capsys):
    options = ["--trials=1", "--epochs=1", "--audio-width=4", "--accelerator=cpu", "--progress=false"]
    cli.main(["tune", str(corpus), "--out", str(tmp_path / "tuned"), "--search", "dropout=0.1:0.2", *options])
    shown = capsys.readouterr().out
    assert "trials: 1, of which 0 ended early" in shown
    assert "dropout: 0.1" in shown
    assert (tmp_path / "tuned" / "search.png").stat().st_size > 5000
