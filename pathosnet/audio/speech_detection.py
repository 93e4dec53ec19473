"""Where somebody speaks, as Silero's network hears it.

Source: Silero Team, Silero VAD, github.com/snakers4/silero-vad; the package brings its weights along (MIT).
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from pathosnet.audio.reading import SAMPLE_RATE
from pathosnet.errors import InputError

FRAME_SAMPLES = 512
"""Samples that the network hears at once: 32 ms."""


class SpeechDetector:
    """A network that listens to a recording while it passes by.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self) -> None:
        self._silero = _import_silero()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # it comes as TorchScript
            self._network = self._silero.load_silero_vad()
        self._probabilities: list[float] = []
        self._num_samples = 0

    @torch.no_grad()
    def passing(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yields blocks of a waveform, each ``(samples,)`` at 16 kHz, as they are, and listens to them."""
        self._network.reset_states()
        rest = torch.zeros(0)
        for block in blocks:
            self._num_samples += len(block)
            samples = torch.cat([rest, block])
            whole = len(samples) - len(samples) % FRAME_SAMPLES
            self._hear(samples[:whole])
            rest = samples[whole:].clone()
            yield block
        if len(rest):
            self._hear(torch.nn.functional.pad(rest, (0, FRAME_SAMPLES - len(rest))))

    def _hear(self, samples: Tensor) -> None:
        for frame in samples.reshape(-1, FRAME_SAMPLES):
            self._probabilities.append(self._network(frame, SAMPLE_RATE).item())

    def speech(self) -> list[tuple[float, float]]:
        """Returns where somebody spoke in what has passed: start and end in seconds."""
        found = self._silero.get_speech_timestamps_from_probs(
            self._probabilities, SAMPLE_RATE, audio_length_samples=self._num_samples
        )
        return [(one["start"] / SAMPLE_RATE, one["end"] / SAMPLE_RATE) for one in found]


def _import_silero() -> Any:
    threads = torch.get_num_threads()
    try:
        import silero_vad
    except ImportError as error:
        raise InputError("detector: silero: needs the package silero-vad; pip install 'pathosnet[silero]'") from error
    torch.set_num_threads(threads)  # on import it sets one for all of PyTorch
    return silero_vad
