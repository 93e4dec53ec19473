"""Apple's GPUs have no float64: front ends must compute in float32 wherever the recording is."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pathosnet.audio.level import normalize_level
from pathosnet.features import log_mel_examples, log_mel_frames, spectrogram_windows

FRONT_ENDS = {
    "log_mel_frames": log_mel_frames,
    "log_mel_examples": log_mel_examples,
    "spectrogram_windows": lambda waveform: spectrogram_windows(waveform, silence_removal=False),
    "normalize_level": normalize_level,
}


class NoDoubles(TorchDispatchMode):
    """A device, that of shapes without values, which refuses float64."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "meta":
                assert tensor.dtype != torch.float64, function
        return made


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_front_ends_put_no_float64_on_a_device(name):
    waveform = torch.empty(40_000, device="meta")
    with NoDoubles():
        features = FRONT_ENDS[name](waveform)
    assert features.device.type == "meta"
    assert features.shape == FRONT_ENDS[name](torch.zeros(40_000)).shape


def test_the_refusal_is_seen():
    with NoDoubles(), pytest.raises(AssertionError):
        torch.empty(3, device="meta").double()
