import pytest
import torch
from making import tone

from pathosnet.audio.inspection import Inspection, inspect_waveform
from pathosnet.errors import InputError

SPEECH = torch.from_numpy(tone(1.0, amplitude=0.1))
ODD = {
    "zeros": (torch.zeros(16_000), ("silent",)),
    "a constant": (torch.full((16_000,), 0.25), ("silent",)),
    "noise of a converter": (torch.randn(16_000).round().clamp(-1, 1) / 32_768, ("silent",)),
    "a whisper": (SPEECH * 0.01, ()),
    "speech": (SPEECH, ()),
    "an offset": (SPEECH + 0.5, ()),
    "clipping": (SPEECH * 12, ()),
    "integers as floats": (SPEECH * 32_768, ("samples outside [-1, 1]",)),
    "three tenths of a second": (SPEECH[:4800], ("shorter than half a second",)),
    "a short silence": (torch.zeros(4800), ("silent", "shorter than half a second")),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("block", [1000, 100_000])
def test_what_is_odd_is_said_however_the_recording_is_cut(kind, block):
    waveform, warnings = ODD[kind]
    assert inspect_waveform(waveform) == warnings
    inspection = Inspection()
    for piece in waveform.split(block):
        inspection.add(piece.numpy(), 16_000)
    assert inspection.warnings() == warnings


@pytest.mark.parametrize(
    ("right", "warnings"),
    [
        (-SPEECH, ("channels cancel",)),
        (-0.99 * SPEECH, ("channels cancel",)),
        (-0.8 * SPEECH, ()),
        (torch.zeros(16_000), ()),
        (SPEECH, ()),
    ],
)
def test_channels_that_cancel_are_told_from_silence(right, warnings):
    channels = torch.stack([SPEECH, right], dim=1)
    assert inspect_waveform(channels.mean(dim=1), channels=channels) == warnings


def test_two_silent_channels_are_silent():
    assert inspect_waveform(torch.zeros(16_000), channels=torch.zeros(16_000, 2)) == ("silent",)


def test_the_rate_decides_what_is_short():
    assert inspect_waveform(SPEECH[:4800], sample_rate=8000) == ()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (float("nan"), "holds NaN or infinite samples"),
        (float("-inf"), "holds NaN or infinite samples"),
        (1e38, r"samples as large as 1e\+38, expected \[-1, 1\]"),
        (-1e10, r"samples as large as 1e\+10"),
    ],
)
def test_samples_that_nothing_can_be_computed_of_are_an_error(value, complaint):
    waveform = SPEECH.clone()
    waveform[700] = value
    with pytest.raises(InputError, match=f"^a.wav: holds {complaint.removeprefix('holds ')}"):
        inspect_waveform(waveform, name="a.wav")
