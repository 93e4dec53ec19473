import json

import pytest
import torch
from making import make_corpus, random_vggish, read_rows, save_weights, tiny_config

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.experiments.config import FINETUNE_DEFAULTS
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.train import train

EKMAN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Clips that are long enough for VGGish."""
    return make_corpus(tmp_path_factory.mktemp("long"), per_class=6, seconds=(1.0, 1.2))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A corpus of six emotions, of which the model knows three."""
    return make_corpus(tmp_path_factory.mktemp("others"), emotions=EKMAN, per_class=6, seed=1)


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    return train(corpus, tmp_path_factory.mktemp("runs") / "model", tiny_config()).folder


@pytest.fixture(scope="module")
def ensemble(long, tmp_path_factory):
    """VGGish and log-mel networks under one classifier."""
    folder = tmp_path_factory.mktemp("ensemble")
    vggish = save_weights(folder / "vggish.safetensors", random_vggish())
    config = tiny_config(acoustic="logmel,vggish", vggish=str(vggish), vggish_output="pool", epochs=1, fine_tune=False)
    return train(long, folder / "model", config).folder


def options(**changes):
    return tiny_config(**{**FINETUNE_DEFAULTS, "epochs": 1, **changes})


def weights(model: PathosNet) -> dict[str, torch.Tensor]:
    return {**model.network.state_dict(), **{f"acoustic.{k}": v for k, v in model.acoustic.state_dict().items()}}


def changed(before: PathosNet, after: PathosNet) -> set[str]:
    """The parts whose weights differ: the names up to where layers begin."""
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    different = {name for name in old if old[name].shape != new[name].shape or not torch.equal(old[name], new[name])}
    return {
        name.split(".stem")[0].split(".blocks")[0].removesuffix(".weight").removesuffix(".bias") for name in different
    }


def test_a_run_is_as_that_of_training(model, corpus, tmp_path):
    run = finetune(model, corpus, tmp_path / "run", config=options())
    files = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "model.safetensors", "run.json", "split.csv", "metrics.json", "predictions.csv"} <= files
    described = json.loads((run.folder / "run.json").read_text())
    assert described["fine_tuned"]["model"] == model.name
    assert "before that it was trained on: corpus (32 utterances" in (run.folder / "README.md").read_text()
    assert described["fine_tuned"]["train"] == "branches"
    assert described["stages"][0]["name"] == "fine-tuning-branches"
    assert "audio_width" not in described["config"]
    again, _ = evaluate(run.folder, corpus, progress=False)
    assert again == run.metrics
    assert len(read_rows(run.folder / "predictions.csv")) == run.metrics.utterances


@pytest.mark.parametrize("part", ["classifier", "branches"])
def test_what_learns_is_what_was_named(model, corpus, tmp_path, part):
    before = PathosNet.from_pretrained(model)
    kept = {name: value.clone() for name, value in weights(before).items()}
    after = finetune(before, corpus, tmp_path / "run", config=options(), train=part).model
    expected = {"classifier"} if part == "classifier" else {"classifier", "branches.logmel", "branches.text"}
    assert changed(before, after) == expected
    assert all(torch.equal(kept[name], value) for name, value in weights(before).items())  # the given model stays


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("classifier", {"classifier"}),
        (
            "branches",
            {
                "classifier",
                *(f"networks.{name}.branches.{name}" for name in ("logmel", "vggish")),
                *(f"networks.{name}.branches.text" for name in ("logmel", "vggish")),
            },
        ),
    ],
)
def test_an_ensemble_is_trained_as_a_whole(ensemble, long, tmp_path, part, expected):
    before = PathosNet.from_pretrained(ensemble)
    assert changed(before, finetune(before, long, tmp_path / "run", config=options(), train=part).model) == expected


def test_the_top_layer_of_a_backbone_learns(ensemble, long, tmp_path):
    before = PathosNet.from_pretrained(ensemble)
    run = finetune(before, long, tmp_path / "run", config=options(learning_rate=1e-3), train="top-layer")
    backbone = {name for name in changed(before, run.model) if name.startswith("acoustic")}
    assert backbone == {"acoustic.vggish.backbone.conv4_2"}
    again, _ = evaluate(run.folder, long, progress=False)
    assert again.confusion == run.metrics.confusion


def test_labels_that_stay_keep_their_weights(model, others, tmp_path):
    before = PathosNet.from_pretrained(model)
    config = options(learning_rate=1e-12, min_learning_rate=1e-12)
    after = finetune(before, others, tmp_path / "run", config=config, train="classifier").model
    assert set(after.labels) == set(EKMAN)
    for label in after.labels:
        row = after.network.classifier.weight[after.labels.index(label)]
        if label in before.labels:
            torch.testing.assert_close(row, before.network.classifier.weight[before.labels.index(label)])
        else:
            assert float(row.detach().abs().max()) > 0
    assert PathosNet.from_pretrained(tmp_path / "run").labels == after.labels


def test_fewer_labels_in_an_order_of_ones_own(model, corpus, tmp_path):
    config = options(labels="neutral,anger", drop_labels="happiness,sadness", split="random")
    run = finetune(model, corpus, tmp_path / "run", config=config)
    assert run.model.labels == ("neutral", "anger")
    assert len(run.metrics.confusion) == 2


def test_a_model_in_memory_has_the_method(model, corpus, tmp_path):
    run = PathosNet.from_pretrained(model).finetune(corpus, tmp_path / "run", config=options(), train="classifier")
    assert run.metrics is not None


def test_the_same_seed_gives_the_same_model(model, corpus, tmp_path):
    config = options(augmentation="words,masks,noise,gain", modality_dropout=0.2, sampling="balanced", epochs=2)
    first, second = (finetune(model, corpus, tmp_path / name, config=config) for name in "ab")
    assert changed(first.model, second.model) == set()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "everything"}, "train: expected classifier, branches, top-layer, got 'everything'"),
        ({"train": "top-layer"}, "no pre-trained network whose top layer could learn"),
        ({"config": options(labels="joy,anger")}, "expected an emotion out of"),
    ],
)
def test_mistakes(model, corpus, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        finetune(model, corpus, tmp_path / "run", **{"config": options(), **changes})
    assert not (tmp_path / "run").exists()


def test_mistakes_about_what_the_model_reads(corpus, tmp_path):
    texts = train(corpus, tmp_path / "texts", tiny_config(acoustic="none", epochs=1))
    with pytest.raises(InputError, match="the model reads only one of text and voice"):
        finetune(texts.folder, corpus, tmp_path / "run", config=options(modality_dropout=0.5))
    silent = make_corpus(tmp_path / "silent", per_class=4, text="")
    with pytest.raises(InputError, match="has no texts, and the model reads nothing else"):
        finetune(texts.folder, silent, tmp_path / "run", config=options())


def test_recordings_that_the_first_model_was_trained_on_are_counted(model, corpus, tmp_path, capsys):
    first = {row["row"] for row in read_rows(model / "split.csv") if row["part"] == "train"}
    run = finetune(model, corpus, tmp_path / "run", config=options(seed=5))
    again = finetune(run.folder, corpus, tmp_path / "again", config=options(seed=6))
    assert (again.folder / "split-before-2.csv").read_bytes() == (model / "split.csv").read_bytes()
    tested = [row["row"] for row in read_rows(run.folder / "split.csv") if row["part"] == "test"]
    count = len(first.intersection(tested))
    assert 0 < count < len(tested)
    said = f"the model that it was fine-tuned from was trained on {count} of them"
    assert said in capsys.readouterr().err
    _, what = evaluate(run.folder, corpus, "test", progress=False)
    assert what.endswith(f"the model was trained on none of them; {said}")
    before = first | {row["row"] for row in read_rows(run.folder / "split.csv") if row["part"] == "train"}
    tested = [row["row"] for row in read_rows(again.folder / "split.csv") if row["part"] == "test"]
    _, what = evaluate(again.folder, corpus, "test", progress=False)
    assert f"was trained on {len(before.intersection(tested))} of them" in what


def test_unknown_training_before_fine_tuning_is_said(model, corpus, tmp_path):
    PathosNet.from_pretrained(model).save_pretrained(tmp_path / "bare")
    run = finetune(tmp_path / "bare", corpus, tmp_path / "run", config=options())
    _, what = evaluate(run.folder, corpus, "test", progress=False)
    unknown = "which of them the model was trained on before it was fine-tuned (bare) is not known"
    assert what.endswith(unknown)
    again = finetune(run.folder, corpus, tmp_path / "again", config=options())
    _, what = evaluate(again.folder, corpus, "test", progress=False)
    assert what.endswith(unknown.replace("bare", "run"))


def test_same_labels_keep_the_order_of_the_outputs(model, tmp_path):
    labels = PathosNet.from_pretrained(model).labels
    backwards = make_corpus(tmp_path / "backwards", emotions=tuple(reversed(labels)), per_class=6, seed=2)
    config = options(labels=tuple(reversed(labels)))
    assert finetune(model, backwards, tmp_path / "run", config=config).model.labels == labels
