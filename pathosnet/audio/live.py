"""Sound as it comes: from a microphone, or through a pipe."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import soundfile

from pathosnet.audio.raw import Raw
from pathosnet.errors import InputError

CHUNK_SECONDS = 0.1
WAITING_CHUNKS = 600
"""A pipe that is faster than the reader is held up after so many; a microphone cannot be."""
POLL_SECONDS = 0.5  # without end, waiting could not be interrupted on Windows
INSTALL = "pip install 'pathosnet[listen]'"
SUBTYPES = {"s16le": "PCM_16", "s24le": "PCM_24", "s32le": "PCM_32", "f32le": "FLOAT"}


class Chunk(NamedTuple):
    """Some samples, ``(samples, channels)`` float32; whether others before them were lost, as nobody took them."""

    samples: np.ndarray
    lost: bool = False


@contextmanager
def open_pipe(file: int, raw: Raw, *, name: str = "stdin") -> Iterator[tuple[int, Iterator[Chunk]]]:
    """Reads sound from a pipe as it comes.

    Args:
        file: its file descriptor, such as 0.
        raw: what samples without a header are; without an encoding, a WAV (or AU) header says it.
        name: of the pipe, for errors.

    Yields:
        The rate in Hz, and the chunks, a tenth of a second each.

    Raises:
        InputError: there is no such header.
    """
    arrivals: queue.Queue[Any] = queue.Queue(WAITING_CHUNKS)
    # A thread of its own: whoever waits in libsndfile for samples that do not come cannot be interrupted.
    threading.Thread(target=_read, args=(file, raw, arrivals, name), daemon=True).start()
    yield _next(arrivals), _until_the_end(arrivals)


def _read(file: int, raw: Raw, arrivals: "queue.Queue[Any]", name: str) -> None:
    """Puts the rate, then chunks, then None into a queue; or what went wrong."""
    form: dict[str, Any] = {}
    if raw.encoding:
        form = {"samplerate": raw.rate, "channels": raw.channels, "subtype": SUBTYPES[raw.encoding]}
        form |= {"format": "RAW", "endian": "LITTLE"}
    try:
        with _Pipe(file, closefd=False, **form) as sound:
            arrivals.put(sound.samplerate)
            size = max(1, round(CHUNK_SECONDS * sound.samplerate))
            while len(samples := sound.read(size, dtype="float32", always_2d=True)):
                arrivals.put(Chunk(samples))
        arrivals.put(None)
    except soundfile.SoundFileError as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        arrivals.put(
            InputError(
                f"{name}: cannot be read as audio ({reason}); expected WAV; where samples have no header, say what "
                "they are: --encoding s16le --rate 16000 --channels 1"
            )
        )
    except Exception as error:  # whoever takes from the queue would wait for ever
        arrivals.put(error)


class _Pipe(soundfile.SoundFile):
    """A pipe, in which soundfile must not look for its place."""

    def seekable(self) -> bool:
        return False


@contextmanager
def open_microphone(name: str | None = None) -> Iterator[tuple[int, Iterator[Chunk]]]:
    """Records from when the first chunk is asked for until the block is left.

    Args:
        name: of the microphone, a part of it, or its number; the system's own choice if None.

    Yields:
        The rate in Hz, which is the microphone's own, and chunks of one channel, without end.

    Raises:
        InputError: there is none, it cannot be opened, or the package that records is not installed.
    """
    sounddevice = _import_sounddevice()
    arrivals: queue.Queue[Any] = queue.Queue()
    device = int(name) if name is not None and name.isdigit() else name

    def take(samples: np.ndarray, frames: int, times: Any, status: Any) -> None:
        arrivals.put(Chunk(samples.copy(), bool(status.input_overflow)))

    try:
        rate = int(sounddevice.query_devices(device, "input")["default_samplerate"])
        form = {"channels": 1, "dtype": "float32", "blocksize": round(CHUNK_SECONDS * rate)}
        stream = sounddevice.InputStream(samplerate=rate, device=device, callback=take, **form)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise InputError(_no_microphone(sounddevice, name, error)) from error
    try:
        yield rate, _recorded(stream, arrivals)
    finally:
        stream.close()


def _recorded(stream: Any, arrivals: "queue.Queue[Any]") -> Iterator[Chunk]:
    stream.start()  # not earlier: nobody should be recorded who is not heard
    yield from _until_the_end(arrivals)


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise InputError(
            f"a microphone needs the package sounddevice: {INSTALL}; or name a file, or - for stdin"
        ) from (error)
    except OSError as error:  # the package is there, the library that it calls is not
        raise InputError(
            f"a microphone needs PortAudio ({error}): apt install libportaudio2, or brew install portaudio; or name a "
            "file, or - for stdin"
        ) from error
    return sounddevice


def _no_microphone(sounddevice: Any, name: str | None, error: Exception) -> str:
    try:
        devices = [
            f"{i} {one['name']}" for i, one in enumerate(sounddevice.query_devices()) if one["max_input_channels"]
        ]
    except sounddevice.PortAudioError:
        devices = []
    reason = " ".join(str(error).split())
    asked = "" if name is None else f" {name!r}"
    there = f"there are: {', '.join(devices)}" if devices else "none is connected; name a file instead, or - for stdin"
    return f"microphone{asked}: cannot be opened ({reason}); {there}"


def _next(arrivals: "queue.Queue[Any]") -> Any:
    """Waits for what comes next, and raises it if it is an error."""
    while True:
        try:
            found = arrivals.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if isinstance(found, Exception):
            raise found
        return found


def _until_the_end(arrivals: "queue.Queue[Any]") -> Iterator[Chunk]:
    while (chunk := _next(arrivals)) is not None:
        yield chunk
