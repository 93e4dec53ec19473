"""A model's parts as modules that can be traced: the network from padded sequences, each feature from a waveform."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pathosnet.audio.level import Level, normalize_level
from pathosnet.errors import InputError
from pathosnet.features.acoustic import log_mel, spectrogram, whisper_log_mel
from pathosnet.features.acoustic.encoders.base import parse_layers
from pathosnet.features.acoustic.encoders.hugging_face import TransformersEncoder
from pathosnet.features.acoustic.encoders.whisper import Whisper
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    SpeechEncoderExtractor,
    VGGishExtractor,
)
from pathosnet.models import Classified, Inputs, SequenceEncoder
from pathosnet.targets import Target


class ExportedNetwork(nn.Module):
    """Padded feature sequences and their lengths → calibrated probabilities, estimates of dimensions, or both.

    Args:
        network: the branches under their classifier.
        calibration_temperature: divides the logits.
        target: what the outputs stand for.
    """

    def __init__(self, network: Classified, calibration_temperature: float, target: Target) -> None:
        super().__init__()
        self.network = network
        self.calibration_temperature = calibration_temperature
        self.target = target
        branches = [branch for branch in network.modules() if isinstance(branch, SequenceEncoder)]
        self.step = 2 ** max((branch.num_pools for branch in branches), default=0)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Tensor:
        """Classifies a batch.

        Args:
            features: name → ``(batch, time, features)``; time may be 0.
            lengths: name → ``(batch,)`` int64; 0 where there is nothing.

        Returns:
            ``(batch, labels)``.
        """
        padded, masks = {}, {}
        for name, frames in features.items():
            # To a multiple of what pooling divides by, and never down to one frame, which tracing takes for a constant.
            time = (frames.shape[1] // self.step + 2) * self.step
            padded[name] = nn.functional.pad(frames, (0, 0, 0, time - frames.shape[1]))
            masks[name] = torch.arange(time, device=frames.device) < lengths[name].unsqueeze(1)
        with _TraceablePooling():
            logits = self.network.classify(Inputs(padded, masks))
        return self.target.decode(logits, self.calibration_temperature)


class _TraceablePooling(TorchFunctionMode):
    """Puts the maximum of pairs in the place of ``max_pool1d``, which fixes the length that it is traced with."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.max_pool1d or func is torch.max_pool1d:
            return torch.maximum(args[0][:, :, ::2], args[0][:, :, 1::2])
        return func(*args, **(kwargs or {}))


class ExportedExtractor(nn.Module):
    """Waveform → feature sequence; its Fourier transform is a convolution, which every runtime has.

    Args:
        extractor: whose features; silence has to be removed before.
    """

    bands: Tensor
    waves: Tensor
    max_samples: int | None = None
    """The longest waveform; None for any."""

    def __init__(self, extractor: AcousticExtractor) -> None:
        super().__init__()
        self.backbone = extractor.backbone
        self.register_buffer("bands", log_mel.mel_matrix().float())
        self.register_buffer("waves", _windowed_waves(log_mel.WINDOW_SAMPLES, log_mel.FFT_SAMPLES))
        self.centered = isinstance(extractor, GhostVLADExtractor)
        self.stft_hop = log_mel.HOP_SAMPLES
        if isinstance(extractor, GhostVLADExtractor):
            self.stft_hop = int(extractor.windowing["stft_hop"])
            self.length, self.hop = (int(extractor.windowing[key]) for key in ("window_frames", "hop_frames"))
        elif isinstance(extractor, VGGishExtractor):
            self.length = self.hop = log_mel.EXAMPLE_FRAMES
        elif isinstance(extractor, LogMelExtractor):
            self.length = self.hop = extractor.stack
        else:
            raise InputError(
                f"{extractor.name}: cannot be exported, only logmel, vggish, ghostvlad and encoders of Whisper, "
                "wav2vec 2.0, XLS-R, HuBERT, WavLM and data2vec-audio can; run the model with pathosnet, or train one "
                "on those"
            )
        self.level: Level = extractor.level

    @property
    def min_samples(self) -> int:
        """Samples that a waveform needs for one vector."""
        return max(1, (self.length - 1) * self.stft_hop + (0 if self.centered else log_mel.WINDOW_SAMPLES))

    def forward(self, waveform: Tensor) -> Tensor:
        """``(samples,)`` at 16 kHz, at least ``min_samples`` → ``(time, feature_dim)``."""
        padding = log_mel.WINDOW_SAMPLES // 2 if self.centered else 0
        waveform = normalize_level(waveform, self.level)
        parts = nn.functional.conv1d(waveform[None, None], self.waves, stride=self.stft_hop, padding=padding)[0]
        real, imaginary = parts.T.chunk(2, dim=1)
        magnitudes = (real.square() + imaginary.square()).sqrt()  # (frames, 257)
        if self.centered:
            deviation, mean = torch.std_mean(magnitudes, dim=1, correction=0, keepdim=True)
            frames = (magnitudes - mean) / (deviation + spectrogram.EPSILON)
        else:
            frames = torch.log(magnitudes @ self.bands + log_mel.LOG_OFFSET)
        count = (frames.shape[0] - self.length) // self.hop + 1
        starts = torch.arange(count, device=frames.device) * self.hop
        windows = frames[starts.unsqueeze(1) + torch.arange(self.length, device=frames.device)]
        if self.backbone is None:
            return windows.flatten(1)
        features: Tensor = self.backbone(windows.transpose(1, 2) if self.centered else windows)
        return features


class ExportedEncoder(nn.Module, ABC):
    """Waveform of up to 30 s → features of a speech encoder, its front end included.

    Args:
        extractor: whose features.
    """

    def __init__(self, extractor: SpeechEncoderExtractor) -> None:
        super().__init__()
        encoder = extractor.encoder
        self.layers = parse_layers(extractor.layers, encoder)
        self.level: Level = extractor.level
        self.min_samples = encoder.min_samples
        self.max_samples = encoder.max_samples
        self.side_by_side = extractor.is_side_by_side
        self.pooled_vectors = extractor.pooled_vectors

    @abstractmethod
    def states(self, waveform: Tensor) -> Tensor:
        """``(samples,)``, whose level is set → hidden states ``(layers, time, dim)``."""

    def forward(self, waveform: Tensor) -> Tensor:
        """``(samples,)`` at 16 kHz, ``min_samples`` to ``max_samples`` → ``(time, feature_dim)``."""
        states = self.states(normalize_level(waveform, self.level))
        frames = states.transpose(0, 1).flatten(1) if self.side_by_side else states.mean(dim=0)
        size = self.pooled_vectors
        if size is None:
            return frames.mean(dim=0, keepdim=True)
        # Sums over stretches, divided by how many vectors each has: average pooling whose length may be any.
        count = (frames.shape[0] + size - 1) // size
        missing = count * size - frames.shape[0]
        sums = nn.functional.pad(frames, (0, 0, 0, missing)).reshape(count, size, -1).sum(dim=1)
        last = torch.arange(1, count + 1, device=frames.device) * size
        there = torch.full_like(last, size) - (last - frames.shape[0]).clamp(min=0)
        return sums / there.unsqueeze(1)


class ExportedWhisper(ExportedEncoder):
    """Features of Whisper's encoder; the Fourier transform of its front end is a convolution."""

    bands: Tensor
    waves: Tensor

    def __init__(self, extractor: SpeechEncoderExtractor) -> None:
        super().__init__(extractor)
        assert isinstance(extractor.encoder, Whisper)
        self.network: Any = extractor.encoder.network
        samples = whisper_log_mel.FFT_SAMPLES
        num_bands = extractor.encoder.shape.num_bands
        self.register_buffer("bands", whisper_log_mel.slaney_mel_matrix(num_bands).clone())
        self.register_buffer("waves", _windowed_waves(samples, samples))

    def states(self, waveform: Tensor) -> Tensor:
        """``(samples,)`` → ``(layers, time, dim)``."""
        half = whisper_log_mel.FFT_SAMPLES // 2
        padded = nn.functional.pad(waveform[None, None], (half, half), mode="reflect")
        parts = nn.functional.conv1d(padded, self.waves, stride=whisper_log_mel.HOP_SAMPLES)[0, :, :-1]
        real, imaginary = parts.chunk(2)
        mel = whisper_log_mel.limit_range(self.bands @ (real.square() + imaginary.square()))  # (bands, frames)
        vectors = self.network.embed(mel)
        states: Tensor = self.network.states_from(vectors, [vectors.shape[0]], self.layers)
        return states


class ExportedTransformer(ExportedEncoder):
    """Features of an encoder that reads the waveform itself: wav2vec 2.0, XLS-R, HuBERT, WavLM, data2vec-audio."""

    def __init__(self, extractor: SpeechEncoderExtractor) -> None:
        super().__init__(extractor)
        self.encoder = extractor.encoder

    def states(self, waveform: Tensor) -> Tensor:
        """``(samples,)`` → ``(layers, time, dim)``."""
        assert isinstance(self.encoder, TransformersEncoder)
        return self.encoder.compute(waveform.unsqueeze(0), self.layers)[:, 0]


def exported(extractor: AcousticExtractor) -> ExportedExtractor | ExportedEncoder:
    """Returns a feature's graph as a module.

    Raises:
        InputError: there is none of such a feature.
    """
    if isinstance(extractor, SpeechEncoderExtractor):
        if isinstance(extractor.encoder, Whisper):
            return ExportedWhisper(extractor)
        if isinstance(extractor.encoder, TransformersEncoder) and extractor.encoder.prepare.reads_waveforms:
            return ExportedTransformer(extractor)
    return ExportedExtractor(extractor)


def _windowed_waves(window_samples: int, fft_samples: int) -> Tensor:
    """Returns a Hann window times cosines, then sines, ``(2 · (fft_samples / 2 + 1), 1, window_samples)``."""
    samples = torch.arange(window_samples, dtype=torch.float64)
    bins = torch.arange(fft_samples // 2 + 1, dtype=torch.float64).unsqueeze(1)
    angles = 2 * math.pi / fft_samples * bins * samples
    window = torch.hann_window(window_samples, periodic=True, dtype=torch.float64)
    return torch.cat([angles.cos() * window, angles.sin() * window]).unsqueeze(1).float()
