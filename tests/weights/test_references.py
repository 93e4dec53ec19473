from pathlib import Path

import pytest
import safetensors.torch
import torch
from making import random_thin_resnet34, random_vggish, save_weights, tone

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble
from pathosnet.weights import load_thin_resnet34, load_vggish

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def files(tmp_path) -> Path:
    """A folder with both backbones' weights, under the names that the catalogue has for them where it can."""
    (tmp_path / "files").mkdir()
    save_weights(tmp_path / "files" / "vggish-10086976.pth", random_vggish())
    save_weights(tmp_path / "files" / "mine.safetensors", random_thin_resnet34())
    return tmp_path / "files"


@pytest.fixture
def model(files) -> PathosNet:
    """Both backbones; of each the unlocked layer is not as in its file any more."""
    acoustic = {
        "vggish": VGGishExtractor(load_vggish(files / "vggish-10086976.pth", "pool")),
        "ghostvlad": GhostVLADExtractor(load_thin_resnet34(files / "mine.safetensors")),
    }
    with torch.no_grad():
        for extractor in acoustic.values():
            extractor.backbone.unlocked_layer.weight.mul_(1.1)
    networks = {name: EmotionNetwork({name: 512}, 4, options=NARROW) for name in acoustic}
    return PathosNet(Ensemble(networks, 4), acoustic, None)


def same(ours: PathosNet, theirs: PathosNet) -> bool:
    first, second = ours.acoustic.state_dict(), theirs.acoustic.state_dict()
    audio = {"audio": tone(1.2), "sample_rate": 16_000}
    equal = all(torch.equal(value, second[name]) for name, value in first.items())
    return first.keys() == second.keys() and equal and ours.predict(**audio) == theirs.predict(**audio)


def test_model_that_refers_holds_only_what_was_trained(model, tmp_path):
    model.save_pretrained(tmp_path / "small", embed_weights=False)
    held = safetensors.torch.load_file(tmp_path / "small" / "model.safetensors")
    assert {name for name in held if name.startswith("acoustic.")} == {
        "acoustic.vggish.backbone.conv4_2.weight",
        "acoustic.ghostvlad.backbone.x_fc.weight",
    }
    assert str(tmp_path) not in (tmp_path / "small" / "config.json").read_text()  # paths are nobody else's business


def test_referred_weights_come_from_a_folder_or_the_cache(model, files, cache, tmp_path):
    model.save_pretrained(tmp_path / "small", embed_weights=False)
    files.rename(tmp_path / "elsewhere")
    assert same(PathosNet.from_pretrained(tmp_path / "small", weights=tmp_path / "elsewhere"), model)
    for path in (tmp_path / "elsewhere").iterdir():
        path.rename(cache / path.name)
    again = PathosNet.from_pretrained(tmp_path / "small")
    assert same(again, model)
    again.save_pretrained(tmp_path / "once more", embed_weights=False)
    assert same(PathosNet.from_pretrained(tmp_path / "once more"), model)
    again.save_pretrained(tmp_path / "whole")
    for path in cache.iterdir():
        path.unlink()
    assert same(PathosNet.from_pretrained(tmp_path / "whole"), model)


def test_whole_model_can_be_made_one_that_refers(model, files, cache, tmp_path):
    """It remembers which files its backbones came from."""
    model.save_pretrained(tmp_path / "whole")
    whole = PathosNet.from_pretrained(tmp_path / "whole")
    for path in files.iterdir():
        path.rename(cache / path.name)
    whole.save_pretrained(tmp_path / "small", embed_weights=False)
    assert same(PathosNet.from_pretrained(tmp_path / "small"), model)


def test_missing_weights_are_named_with_the_command_that_gets_them(model, files, tmp_path):
    model.save_pretrained(tmp_path / "small", embed_weights=False)
    (files / "mine.safetensors").rename(tmp_path / "mine.safetensors")
    (files / "vggish-10086976.pth").unlink()
    with pytest.raises(
        InputError, match=r"needs the weights vggish-10086976\.pth .*: pathosnet weights get vggish, or"
    ):
        PathosNet.from_pretrained(tmp_path / "small")
    save_weights(files / "vggish-10086976.pth", random_vggish())
    with pytest.raises(InputError, match=r"mine\.safetensors .*; put it into .*cache/weights, or pass weights=FOLDER"):
        PathosNet.from_pretrained(tmp_path / "small", weights=files)


def test_another_file_of_the_same_name_is_not_taken(model, files, tmp_path):
    model.save_pretrained(tmp_path / "small", embed_weights=False)
    torch.manual_seed(5)
    other = random_vggish()
    with torch.no_grad():
        other.conv1.bias.add_(1.0)
    save_weights(files / "vggish-10086976.pth", other)
    with pytest.raises(InputError, match=r"vggish-10086976\.pth is another file"):
        PathosNet.from_pretrained(tmp_path / "small", weights=files)


def test_backbone_of_no_file_cannot_be_referred_to(tmp_path):
    network = EmotionNetwork({"vggish": 512}, 4, options=NARROW)
    model = PathosNet(network, {"vggish": VGGishExtractor(random_vggish())}, None)
    with pytest.raises(InputError, match=r"vggish: comes from no file that is known.*embed"):
        model.save_pretrained(tmp_path / "small", embed_weights=False)
    assert not (tmp_path / "small").exists()


def test_model_without_backbones_has_nothing_to_refer_to(tmp_path):
    from pathosnet.features.acoustic.extractors import LogMelExtractor

    model = PathosNet(EmotionNetwork({"logmel": 64}, 4, options=NARROW), {"logmel": LogMelExtractor(1)}, None)
    model.save_pretrained(tmp_path / "model", embed_weights=False)
    assert PathosNet.from_pretrained(tmp_path / "model").labels == model.labels
