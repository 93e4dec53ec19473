"""``pathosnet listen``."""

import os
import stat
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathosnet.audio.raw import Raw
from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say
from pathosnet.cli.predict import check_abstain, load_to_answer, shown, summed_up
from pathosnet.errors import InputError
from pathosnet.files import to_path
from pathosnet.options import Values
from pathosnet.recognizer.shipped import STDIN, split_model

if TYPE_CHECKING:
    from pathosnet.audio.live import Chunk
    from pathosnet.prediction.live import LiveTimeline
    from pathosnet.prediction.timeline import Segment

LATE = "computing took {0:.1f} s, but a window comes every {1:g} s: answers fall behind; take longer --hop-seconds"
LOST = "samples were lost, since the computer was too busy to take them from the microphone"


def listen(
    source: Values = Values(),
    *,
    window_seconds: float = 5.0,
    hop_seconds: float | None = None,
    json: bool = False,
    profile: Path | None = None,
    abstain: float | None = None,
    device: str = "cpu",
    microphone: str | None = None,
    raw: Raw,
) -> None:
    """Recognize emotions while somebody speaks.

    Listens to the microphone, a pipe or a file, and prints a line for each window as soon as it is over, until the
    sound ends, or Ctrl-C. The numbers are those of predict --timeline --segments windows. No sound is kept.

    Args:
        source: A model first, if it is not to be the default one (see predict). Then a recording, or - for stdin; the
            microphone if nothing is named.
        window_seconds: Length of a window.
        hop_seconds: From one window's start to the next one's; their length if not given.
        json: Print one JSON object a line.
        profile: The speaker's profile that PathosNet.profile made and saved.
        abstain: Give no label that is less probable than this, such as 0.6.
        device: Where to compute: cpu, cuda, cuda:1, mps ...
        microphone: Its name, a part of it, or its number; the system's own choice if not given.
        raw: what samples on stdin are.
    """
    model, names = split_model(source)
    if len(names) > 1:
        raise InputError(f"listen: expected one recording, or {STDIN} for stdin, got {len(names)}")
    if names and microphone is not None:
        raise InputError(f"microphone: expected no recording beside it, got {names[0]}")
    if raw.encoding and not (names and _is_pipe(names[0])):
        raise InputError(f"encoding: is for samples on stdin; name {STDIN} to listen to it")
    check_abstain(abstain)
    with _opened(names[0] if names else None, microphone, raw) as (name, rate, chunks):
        from pathosnet.features.profile import Profile
        from pathosnet.prediction.timeline import overview

        loaded = load_to_answer(model, device, abstain)
        known = Profile.load(profile) if profile else None
        stream = loaded.stream(rate, window_seconds=window_seconds, hop_seconds=hop_seconds, profile=known)
        segments: list[Segment] = []

        def tell(segment: "Segment") -> None:
            if abstain is not None:
                segment = replace(segment, prediction=segment.prediction.abstain(abstain))
            segments.append(segment)
            if json:
                print_json(segment.to_dict())
            else:
                say(_line(segment))

        say(f"listening to {name}; Ctrl-C ends it", sys.stderr)
        seconds = _follow(stream, chunks, tell)
    if not segments:
        raise InputError(f"{name}: nothing was heard")
    say(summed_up(overview(segments)), sys.stderr)
    if seconds:
        say(f"computing a window took {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s", sys.stderr)


def _follow(stream: "LiveTimeline", chunks: "Iterator[Chunk]", tell: "Callable[[Segment], None]") -> list[float]:
    """Tells segments as they become known, until there are no more chunks, or Ctrl-C.

    Returns:
        How long each took to be computed, in seconds, but for the last ones.
    """
    taken: list[float] = []
    hop = stream.cutting.hop_seconds or stream.cutting.window_seconds
    try:
        for chunk in chunks:
            if chunk.lost:
                say(f"warning: {LOST}", sys.stderr)
            begin = time.perf_counter()
            if not (found := stream.feed(chunk.samples)):
                continue
            taken += [(time.perf_counter() - begin) / len(found)] * len(found)
            if taken[-1] > hop:
                say(f"warning: {LATE.format(taken[-1], hop)}", sys.stderr)
            for segment in found:
                tell(segment)
    except KeyboardInterrupt:
        say("", sys.stderr)  # the terminal shows ^C
    for segment in stream.finish():
        tell(segment)
    return taken


def _line(segment: "Segment") -> str:
    warnings = "".join(f"; {warning}" for warning in segment.prediction.warnings)
    return f"{segment.start:.1f}–{segment.end:.1f} s: {shown(segment.prediction)}{warnings}"


def _is_pipe(name: str) -> bool:
    path = to_path(name)
    return name == STDIN or (path.exists() and stat.S_ISFIFO(path.stat().st_mode))


@contextmanager
def _opened(source: str | None, microphone: str | None, raw: Raw) -> "Iterator[tuple[str, int, Iterator[Chunk]]]":
    """Opens what is to be heard: its name, its rate in Hz, its chunks."""
    from pathosnet.audio.live import open_microphone, open_pipe

    with ExitStack() as stack:
        if source is None:
            rate, chunks = stack.enter_context(open_microphone(microphone))
            yield "the microphone", rate, chunks
        elif _is_pipe(source):
            if source == STDIN and sys.stdin.isatty():
                raise InputError("stdin: is a terminal; expected sound through a pipe, or name a file")
            file = sys.stdin.fileno() if source == STDIN else os.open(to_path(source), os.O_RDONLY)
            name = "stdin" if source == STDIN else source
            rate, chunks = stack.enter_context(open_pipe(file, raw, name=name))
            yield name, rate, chunks
        else:
            heard = _read(to_path(source))
            rate = next(heard)
            yield source, rate, heard


def _read(path: Path) -> "Iterator[Any]":
    """Yields the rate of a file, then chunks of a second, so that its lines come one after the other."""
    from pathosnet.audio.decoding import open_audio
    from pathosnet.audio.live import Chunk

    with open_audio(path) as (rate, blocks):  # in here, since it takes all errors for the file's
        yield rate
        for block in blocks:
            for start in range(0, len(block), rate):
                yield Chunk(block[start : start + rate])


COMMAND = Command(listen)
