"""The calibration temperature from training to prediction."""

import json

import numpy as np
import pytest
from making import make_corpus, read_rows, tiny_config

from pathosnet import PathosNet
from pathosnet.evaluation.calibration import change_temperature
from pathosnet.experiments.train import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    return train(corpus, tmp_path_factory.mktemp("runs") / "run", tiny_config())


def test_a_run_says_what_calibration_did(run):
    described = json.loads((run.folder / "run.json").read_text())["calibration"]
    assert described["temperature"] == run.calibration.temperature == run.model.calibration_temperature != 1.0
    assert described["test"] == list(run.calibration.test)
    assert "expected calibration error" in run.calibration.summary()


def test_predictions_are_calibrated_and_the_temperature_travels(run, tmp_path):
    row = read_rows(run.folder / "predictions.csv")[0]
    loaded = PathosNet.from_pretrained(run.folder)
    calibrated = loaded.predict(row["audio"], row["text"])
    assert [float(row[label]) for label in loaded.labels] == pytest.approx(
        list(calibrated.probabilities.values()), abs=1e-5
    )
    temperature, loaded.calibration_temperature = loaded.calibration_temperature, 1.0
    raw = np.array([list(loaded.predict(row["audio"], row["text"]).probabilities.values())])
    np.testing.assert_allclose(
        change_temperature(raw, temperature)[0], list(calibrated.probabilities.values()), atol=1e-5
    )


def test_without_calibration_the_temperature_is_one(corpus, run, tmp_path):
    plain = train(corpus, tmp_path / "run", tiny_config(calibration="none"))
    assert plain.calibration is None
    assert plain.model.calibration_temperature == 1.0
    assert plain.metrics.accuracy == run.metrics.accuracy
    assert plain.metrics.confusion == run.metrics.confusion


def test_a_model_of_an_earlier_version_has_temperature_one(run, tmp_path):
    run.model.save_pretrained(tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    del config["calibration_temperature"]
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    assert PathosNet.from_pretrained(tmp_path / "old").calibration_temperature == 1.0


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "much"])
def test_an_impossible_temperature_is_refused(run, tmp_path, value):
    from pathosnet.errors import InputError

    run.model.save_pretrained(tmp_path / "odd")
    config = json.loads((tmp_path / "odd" / "config.json").read_text())
    (tmp_path / "odd" / "config.json").write_text(json.dumps({**config, "calibration_temperature": value}))
    with pytest.raises(InputError, match="describes no model"):
        PathosNet.from_pretrained(tmp_path / "odd")
