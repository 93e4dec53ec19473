"""Emotions while somebody speaks: sound comes in chunks, and an answer goes out as soon as a window is complete."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from pathosnet.audio.forms import unpack
from pathosnet.audio.reading import SAMPLE_RATE, Incoming
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.prediction.segmentation import Cutting, Interval, windows
from pathosnet.prediction.stream import Utterance, predict_stream
from pathosnet.prediction.timeline import Segment
from pathosnet.recognizer.recognizer import PathosNet


class LiveTimeline:
    """A timeline that grows with the sound: the windows, and the numbers, of the whole recording's timeline.

    Whatever the chunks' sizes are, the segments are those that ``predict_timeline`` finds with
    ``Cutting("windows", …)`` in the recording that the chunks make up.

    Args:
        model: to ask. Words are unknown to it, as no transcript is there yet.
        sample_rate: of the chunks, in Hz; None if they say it.
        window_seconds: length of a window.
        hop_seconds: from one window's start to the next one's; their length if None.
        min_seconds: the last window is no shorter.
        profile: of the speaker, see ``PathosNet.profile``.

    Raises:
        InputError: a number is out of range, or the model reads text alone.
    """

    def __init__(
        self,
        model: PathosNet,
        sample_rate: int | None = None,
        *,
        window_seconds: float = Cutting.window_seconds,
        hop_seconds: float | None = None,
        min_seconds: float = Cutting.min_seconds,
        profile: Profile | None = None,
    ) -> None:
        if not len(model.acoustic):
            raise InputError("this model reads text alone; live, only sound is there")
        longest = max(Cutting.max_seconds, 2 * min_seconds)  # of no meaning for windows, but checked
        self.cutting = Cutting(
            "windows",
            window_seconds=window_seconds,
            hop_seconds=hop_seconds,
            min_seconds=min_seconds,
            max_seconds=longest,
        )
        self.model, self.profile = model, profile
        self._rate = sample_rate
        self._incoming = None if sample_rate is None else Incoming(sample_rate, "live")
        self._held: list[Tensor] = []
        self._begin = 0  # the first sample that is held
        self._num_samples = 0
        self._num_answered = 0
        self._is_open = True

    @property
    def seconds(self) -> float:
        """How much was heard, as far as it is known at the rate of the model."""
        return self._num_samples / SAMPLE_RATE

    def feed(self, samples: Any) -> list[Segment]:
        """Takes the next chunk.

        Args:
            samples: of any number, ``(samples,)`` or ``(samples, channels)``: floating point in [-1, 1], or integers of
                8, 16 or 32 bit; or ``(rate, samples)``, or ``{"array": samples, "sampling_rate": rate}``.

        Returns:
            A segment for each window that is complete now; mostly none.

        Raises:
            InputError: the samples cannot be used, or ``finish`` was called before.
        """
        if not self._is_open:
            raise InputError("live: this stream has ended; call model.stream() for another one")
        samples, rate = unpack(samples, self._rate)
        if rate is None:
            raise InputError("live: samples were given without their rate; call model.stream(sample_rate=16000)")
        self._rate, self._incoming = rate, self._incoming or Incoming(rate, "live")
        self._hold(self._incoming.add(samples))
        complete: list[Interval] = []
        while (interval := self._interval(self._num_answered + len(complete))) and self._reaches(interval[1]):
            complete.append(interval)
        return self._predict(complete)

    def finish(self) -> list[Segment]:
        """Ends the stream; returns the windows that had to wait, the last of which may be shorter."""
        if not self._is_open:
            return []
        self._is_open = False
        if self._incoming is None:
            return []
        self._hold(self._incoming.finish())
        if not self._num_samples:
            return []
        return self._predict(windows(self.seconds, self.cutting)[self._num_answered :])

    def of(self, chunks: Iterable[Any]) -> Iterator[Segment]:
        """Feeds chunks until there are no more, then finishes; yields segments as soon as they are known."""
        for samples in chunks:
            yield from self.feed(samples)
        yield from self.finish()

    def _hold(self, samples: Tensor) -> None:
        self._held.append(samples)
        self._num_samples += len(samples)

    def _interval(self, number: int) -> Interval:
        start = number * (self.cutting.hop_seconds or self.cutting.window_seconds)
        return start, start + self.cutting.window_seconds

    def _reaches(self, seconds: float) -> bool:
        return self._num_samples >= round(seconds * SAMPLE_RATE)

    def _predict(self, intervals: list[Interval]) -> list[Segment]:
        if not intervals:
            return []
        held = torch.cat(self._held)
        bounds = [[round(time * SAMPLE_RATE) - self._begin for time in interval] for interval in intervals]
        utterances = (Utterance(held[start:end], profile=self.profile) for start, end in bounds)
        segments = []
        for (start, end), answer in zip(intervals, predict_stream(self.model, utterances), strict=True):
            if isinstance(answer, InputError):
                raise InputError(f"live, {start:.1f}–{end:.1f} s: {answer}") from answer
            segments.append(Segment(start, end, answer))
        self._num_answered += len(intervals)
        passed = max(0, round(self._interval(self._num_answered)[0] * SAMPLE_RATE) - self._begin)
        self._held, self._begin = [held[passed:].clone()], self._begin + min(passed, len(held))
        return segments
