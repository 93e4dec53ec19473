import sys

import pytest
import torch
from making import tiny_config

from pathosnet.errors import InputError
from pathosnet.experiments.prepare import build_extractors
from pathosnet.features.acoustic.extractors import extractor_from_config
from pathosnet.features.acoustic.extractors.opensmile import OpenSmileExtractor, make_opensmile_extractor

opensmile = pytest.importorskip("opensmile")


def speech(seconds: float) -> torch.Tensor:
    time = torch.arange(round(16_000 * seconds)) / 16_000
    return 0.2 * torch.sin(2 * torch.pi * 150 * time) * (1 + 0.3 * torch.sin(2 * torch.pi * 3 * time))


def test_functionals_are_those_of_the_package():
    extractor = make_opensmile_extractor("opensmile:eGeMAPSv02")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    waveform = speech(1.0)
    expected = torch.tensor(smile.process_signal(waveform.numpy(), 16_000).to_numpy())
    assert extractor.feature_dim == 88
    assert torch.allclose(extractor(waveform), expected.float())


def test_low_level_descriptors_are_a_sequence():
    extractor = make_opensmile_extractor("opensmile:eGeMAPSv02:lld")
    assert extractor.name == "opensmile-egemapsv02-lld"
    found = extractor(speech(1.0))
    assert found.shape[1] == extractor.feature_dim == 25
    assert 90 <= len(found) <= 101


@pytest.mark.parametrize(("samples", "rows"), [(959, 0), (960, 1)])
def test_the_shortest_recording_has_60_milliseconds(samples, rows):
    found = make_opensmile_extractor("opensmile:eGeMAPSv02")(speech(1.0)[:samples])
    assert found.shape == (rows, 88)
    assert found.isfinite().all()


def test_extractors_are_made_of_options_and_of_what_was_saved():
    (extractor,) = build_extractors(tiny_config(acoustic="opensmile:eGeMAPSv02")).values()
    again = extractor_from_config(extractor.name, extractor.config())
    assert isinstance(again, OpenSmileExtractor)
    assert torch.equal(again(speech(0.5)), extractor(speech(0.5)))


def test_what_is_not_there(monkeypatch):
    with pytest.raises(InputError, match=r"opensmile:MFCC: expected one of .*eGeMAPSv02"):
        make_opensmile_extractor("opensmile:MFCC")
    with pytest.raises(InputError, match="opensmile:eGeMAPSv02: expected functionals or lld, got 'words'"):
        make_opensmile_extractor("opensmile:eGeMAPSv02:words")
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(InputError, match=r"needs the opensmile package; pip install 'pathosnet\[opensmile\]'"):
        make_opensmile_extractor("opensmile:eGeMAPSv02")
