"""Features that a user registers: extractors with and without a layer to unlock, and embeddings of texts."""

import copy
import json
from collections.abc import Sequence

import pytest
import torch
from making import make_corpus, tiny_config, tone
from torch import Tensor, nn

import pathosnet.features.extract
from pathosnet import PathosNet
from pathosnet.backbones import ThinResNet34, Unlockable, VGGish
from pathosnet.errors import InputError
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.prepare import build_extractors, build_text_embedder
from pathosnet.experiments.train import train
from pathosnet.features import HashedWords, TextEmbedder, register_text_embedding
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
    register_extractor,
)
from pathosnet.features.registry import Registry, acoustic_features, text_embeddings
from pathosnet.models import EmotionNetwork
from pathosnet.recognizer.folder import CONFIG_FILE

WINDOW = 400


class Layers(nn.Module):
    """A backbone whose second layer can be unlocked."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.below = nn.Linear(WINDOW, 6)
        self.unlocked_layer = nn.Linear(6, width)

    def frozen_part(self, windows: Tensor) -> Tensor:
        return torch.tanh(self.below(windows))

    def trainable_part(self, hidden: Tensor) -> Tensor:
        return self.unlocked_layer(hidden)

    def forward(self, windows: Tensor) -> Tensor:
        return self.trainable_part(self.frozen_part(windows))


class Windows(AcousticExtractor):
    """Cuts a recording into windows for a backbone."""

    def __init__(self, width: int = 5, backbone: nn.Module | None = None) -> None:
        super().__init__(width, backbone or Layers(width))

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform[: len(waveform) // WINDOW * WINDOW].reshape(-1, WINDOW)

    def config(self) -> dict[str, int]:
        return {"width": self.feature_dim}


class Unlocking(Windows):
    name = "unlocking"


class Locked(Windows):
    name = "locked"

    def __init__(self, width: int = 5) -> None:
        super().__init__(width, nn.Linear(WINDOW, width))


class Letters:
    """A word is its length and its first letter."""

    dim = 2

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def embed(self, words: Sequence[str]) -> Tensor:
        return torch.tensor([[len(word) * self.scale, ord(word[0]) / 100] for word in words])

    def count_known(self, words: Sequence[str]) -> int:
        return len(words)

    def config(self) -> dict[str, float]:
        return {"scale": self.scale}


class Sentences(nn.Module):
    """A text's only vector is a learned one times its length."""

    dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(3))

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> list[Tensor]:
        return [(len(text) * self.vector).unsqueeze(0) for text in texts]

    def count_known(self, words: Sequence[str]) -> int:
        return 0

    def config(self) -> dict[str, int]:
        return {}


@pytest.fixture(autouse=True)
def _own_names(monkeypatch):
    """What a test registers is forgotten afterwards."""
    for registry in (acoustic_features, text_embeddings):
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path / "corpus", per_class=6)


def same_predictions(one: PathosNet, other: PathosNet, text: str = "wonderful day") -> None:
    clip = tone(0.5)
    expected = one.predict(clip, text, sample_rate=16_000).probabilities
    assert other.predict(clip, text, sample_rate=16_000).probabilities == pytest.approx(expected, abs=1e-5)


# Names


def test_the_librarys_own_features_are_registered_as_anybodys():
    assert acoustic_features.names == ("logmel", "vggish", "ghostvlad")
    found = [acoustic_features.find(name) for name in acoustic_features.names]
    assert found == [LogMelExtractor, VGGishExtractor, GhostVLADExtractor]
    assert text_embeddings.names == ("hashed",)
    assert text_embeddings.find("hashed") is HashedWords


@pytest.mark.parametrize("name", ["", "Mine", "a.b", "a,b", "a=b", "2a", "text", "none", "masks", None, 3])
def test_names_that_cannot_be_used(name):
    with pytest.raises(InputError, match="expected a name of small letters"):
        Registry("feature", "register", ()).add(name, int)


@pytest.mark.parametrize("name", ["keys", None])
def test_names_that_a_module_cannot_have(name):
    own = type("Own", (Windows,), {"name": name} if name else {})
    with pytest.raises(InputError, match="acoustic feature Own: expected a name"):
        register_extractor(own)


def test_a_name_is_given_once():
    with pytest.raises(InputError, match=r"'vggish': the name belongs to .*\.VGGishExtractor; choose"):
        register_extractor(type("Own", (Windows,), {"name": "vggish"}))


def test_a_class_that_is_defined_anew_takes_its_own_place():
    first, second = (type("Own", (Windows,), {"name": "own"}) for _ in range(2))
    assert register_extractor(first) is first
    register_extractor(second)
    assert acoustic_features.find("own") is second


def test_options_know_registered_names_alone():
    with pytest.raises(InputError, match=r"acoustic: expected .*, got 'locked'; if it is your own, import the module"):
        tiny_config(acoustic="locked")
    register_extractor(Locked)
    assert tiny_config(acoustic="locked").acoustic == ("locked",)


# Options


def test_arguments_reach_the_extractor():
    register_extractor(Locked)
    config = tiny_config(acoustic="logmel,locked", feature_options={"locked": {"width": 7}, "logmel": {"stack": 2}})
    assert {name: e.feature_dim for name, e in build_extractors(config).items()} == {"logmel": 128, "locked": 7}


def test_arguments_reach_the_text_embedding():
    register_text_embedding("letters", Letters)
    config = tiny_config(text="it=letters", feature_options={"letters": {"scale": 3}})
    assert build_text_embedder(config).embed("ciao", "it")[0, 0] == 12


@pytest.mark.parametrize("options", [{"mine": {}}, {"vggish": {"output": "pool"}}, {"logmel": 3}])
def test_arguments_of_what_is_not_used_are_refused(options):
    with pytest.raises(InputError, match="feature_options: expected names of features that are used"):
        tiny_config(acoustic="logmel", feature_options=options)


def test_arguments_that_do_not_fit_name_the_feature():
    register_extractor(Locked)
    config = tiny_config(acoustic="locked", feature_options={"locked": {"depth": 7}})
    with pytest.raises(InputError, match=r"acoustic feature 'locked': cannot be made with .*'depth'"):
        build_extractors(config)


# Training, saving, loading


def test_a_backbone_with_a_layer_to_unlock_goes_through_both_stages(corpus, tmp_path):
    register_extractor(Unlocking)
    assert isinstance(Layers(2), Unlockable)
    assert isinstance(VGGish("pool"), Unlockable)
    assert isinstance(ThinResNet34(), Unlockable)
    torch.manual_seed(0)
    run = train(
        corpus, tmp_path / "run", tiny_config(acoustic="unlocking", feature_options={"unlocking": {"width": 4}})
    )
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [stage["name"] for stage in described["stages"]] == ["unlocking-1-branches", "unlocking-2-unlocked"]
    again = PathosNet.from_pretrained(tmp_path / "run")
    assert isinstance(again.acoustic["unlocking"], Unlocking)
    assert again.acoustic["unlocking"].config() == {"width": 4}
    same_predictions(run.model, again)


def test_a_backbone_without_one_is_trained_on_in_one_stage(corpus, tmp_path):
    register_extractor(Locked)
    assert Locked().unlockable is None
    run = train(corpus, tmp_path / "run", tiny_config(acoustic="locked"))
    assert [stage["name"] for stage in json.loads((tmp_path / "run" / "run.json").read_text())["stages"]] == [
        "locked-1-branches"
    ]
    same_predictions(run.model, PathosNet.from_pretrained(tmp_path / "run"))
    with pytest.raises(ValueError, match="locked: expected a backbone with a layer to unlock"):
        Locked().frozen_part(torch.zeros(800))


def test_an_ensemble_of_own_and_built_in_features(corpus, tmp_path):
    register_extractor(Locked)
    run = train(corpus, tmp_path / "run", tiny_config(acoustic="logmel,locked"))
    again = PathosNet.from_pretrained(tmp_path / "run")
    assert set(again.acoustic) == {"logmel", "locked"}
    same_predictions(run.model, again)


@pytest.mark.parametrize(("version", "computed"), [(None, 2), (1, 1)])
def test_own_features_are_kept_from_run_to_run_if_they_have_a_version(version, computed, corpus, tmp_path, monkeypatch):
    made = []
    extract = pathosnet.features.extract.extract
    monkeypatch.setattr(
        pathosnet.features.extract,
        "extract",
        lambda sources, *given, **options: made.append(len(sources)) or extract(sources, *given, **options),
    )
    own = type("Own", (Windows,), {"name": "own", "version": version})
    register_extractor(own)
    options = {"acoustic": "own", "fine_tune": False, "epochs": 1, "feature_store": str(tmp_path / "store")}
    for i in range(2):
        torch.manual_seed(0)
        train(corpus, tmp_path / f"run{i}", tiny_config(**options))
    assert sum(count == 24 for count in made) == computed


def test_a_model_of_an_unknown_extractor_names_it_and_imports_nothing(tmp_path):
    register_extractor(Unlocking)
    PathosNet(EmotionNetwork({"unlocking": 5}, 4), {"unlocking": Unlocking()}, None).save_pretrained(tmp_path / "model")
    del acoustic_features._classes["unlocking"]
    with pytest.raises(InputError) as caught:
        PathosNet.from_pretrained(tmp_path / "model")
    assert str(caught.value) == (
        f"{tmp_path / 'model' / CONFIG_FILE}: needs the acoustic feature 'unlocking', which is not registered; import "
        "the module that registers it (@register_extractor), or name it on the command line, --plugin FILE.py"
    )


def test_numbers_of_own_features_are_their_own_matter(tmp_path):
    class Offset(Windows):
        name = "offset"

        def __init__(self, width: int = 5, offset: int = -3, start: int = 0) -> None:
            super().__init__(width)
            self.options = {"width": width, "offset": offset, "start": start}
            assert torch.ones(2).sum() == 2, "made with real tensors, whatever the library does with its own"

        def config(self) -> dict[str, int]:
            return self.options

    register_extractor(Offset)
    PathosNet(EmotionNetwork({"offset": 5}, 4), {"offset": Offset()}, None).save_pretrained(tmp_path / "model")
    assert PathosNet.from_pretrained(tmp_path / "model").acoustic["offset"].options["offset"] == -3


def test_weights_of_own_backbones_are_embedded_whatever_is_asked(tmp_path):
    register_extractor(Unlocking)
    model = PathosNet(EmotionNetwork({"unlocking": 5}, 4), {"unlocking": Unlocking()}, None)
    model.save_pretrained(tmp_path / "model", embed_weights=False)
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert torch.equal(
        again.acoustic["unlocking"].backbone.below.weight, model.acoustic["unlocking"].backbone.below.weight
    )


def test_fine_tuning_unlocks_an_own_layer(corpus, tmp_path):
    register_extractor(Unlocking)
    register_extractor(Locked)
    torch.manual_seed(0)
    model = PathosNet(EmotionNetwork({"unlocking": 5}, 4), {"unlocking": Unlocking()}, None)
    before = model.acoustic["unlocking"].backbone
    tuned = (
        finetune(model, corpus, tmp_path / "run", config=tiny_config(), train="top-layer")
        .model.acoustic["unlocking"]
        .backbone
    )
    assert torch.equal(tuned.below.weight, before.below.weight)
    assert not torch.equal(tuned.unlocked_layer.weight, before.unlocked_layer.weight)
    locked = PathosNet(EmotionNetwork({"locked": 5}, 4), {"locked": Locked()}, None)
    with pytest.raises(InputError, match="the model has no pre-trained network whose top layer could learn"):
        finetune(locked, corpus, tmp_path / "other", config=tiny_config(), train="top-layer")


# Texts


def test_own_word_embedding_is_trained_saved_and_loaded(corpus, tmp_path):
    register_text_embedding("letters", Letters)
    run = train(corpus, tmp_path / "run", tiny_config(text="letters", feature_options={"letters": {"scale": 0.5}}))
    again = PathosNet.from_pretrained(tmp_path / "run")
    assert again.text.tables["*"].scale == 0.5
    same_predictions(run.model, again)
    del text_embeddings._classes["letters"]
    with pytest.raises(InputError, match=r"run/config\.json: needs the text embedding 'letters', which is not regist"):
        PathosNet.from_pretrained(tmp_path / "run")


def test_own_sentence_embedding_is_saved_with_its_weights(tmp_path):
    register_text_embedding("sentences", Sentences)
    tables = {"it": Sentences(), "en": Sentences()}
    model = PathosNet(EmotionNetwork({"text": 3}, 4), {}, TextEmbedder(tables))
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(tmp_path / "model")
    for language, table in tables.items():
        assert torch.equal(again.text.embed("ciao a tutti", language), table.embed_texts(["ciao a tutti"])[0])
    (tmp_path / "model" / "text" / "1.safetensors").unlink()
    with pytest.raises(InputError, match=r"1\.safetensors: cannot be read"):
        PathosNet.from_pretrained(tmp_path / "model")


def test_embeddings_without_a_name_cannot_be_saved(tmp_path):
    model = PathosNet(EmotionNetwork({"text": 2}, 4), {}, TextEmbedder({"*": Letters()}))
    with pytest.raises(InputError, match=r"Letters: cannot be saved, .*register_text_embedding\(NAME, CLASS\)"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_hashed_words_are_saved_as_before(tmp_path):
    model = PathosNet(EmotionNetwork({"text": 20}, 4), {}, TextEmbedder({"*": HashedWords(20, 2, 4)}))
    model.save_pretrained(tmp_path / "model")
    saved = json.loads((tmp_path / "model" / CONFIG_FILE).read_text())["text"]["tables"]["*"]
    assert saved == {"kind": "hashed", "dim": 20, "min_chars": 2, "max_chars": 4}


@pytest.mark.parametrize(("made", "lacking"), [(lambda: Letters(), "config"), (int, "config, count_known, embed")])
def test_what_is_no_class_of_embeddings_is_refused(made, lacking):
    with pytest.raises(
        InputError, match=f"text embedding 'mine': expected a class, with .*{lacking if made is int else ''}"
    ):
        register_text_embedding("mine", made)


def test_extractors_are_copied_with_their_backbone():
    one = Unlocking()
    other = copy.deepcopy(one)
    assert other.unlockable is not one.unlockable
    assert torch.equal(other(torch.ones(800)), one(torch.ones(800)))
