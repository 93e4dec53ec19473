"""Audio files as blocks of samples, each sample decoded once."""

import io
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from pathosnet.audio import ffmpeg
from pathosnet.errors import InputError

BLOCK_SAMPLES = 1 << 20  # of all channels together: bounds the memory of a long recording
SUFFIXES = frozenset(f".{name.lower()}" for name in soundfile.available_formats()) - {".raw"} | {
    ".aif",
    ".aifc",
    ".oga",
    ".opus",
    ".snd",
    ".sph",
}
"""Suffixes of recordings that libsndfile decodes."""


def audio_suffixes() -> frozenset[str]:
    """Returns the suffixes of what can be read on this machine; a file that is named itself may be called anything."""
    return SUFFIXES | ffmpeg.SUFFIXES if ffmpeg.find_ffmpeg() else SUFFIXES


@contextmanager
def open_audio(path: Path) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Opens an audio file: by libsndfile, or by ffmpeg where libsndfile does not know the format.

    Args:
        path: the file.

    Yields:
        The rate in Hz, and blocks ``(samples, channels)`` float32, at full scale in [-1, 1].

    Raises:
        InputError: the file cannot be read, from the beginning or later on; whatever a decoder raises, this names the
            file.
    """
    _check_readable(path)
    try:
        with ExitStack() as stack:
            try:
                file = _open_with_libsndfile(path, stack)
                rate, blocks = file.samplerate, _blocks(file)
            except soundfile.LibsndfileError as error:
                rate, blocks = stack.enter_context(_open_the_rest(path, _reason(error)))
            yield rate, blocks
    except InputError:
        raise
    except Exception as error:  # decoders raise all kinds, and one bad file must not stop the others
        raise InputError(_message(path, _reason(error))) from error


class _OnePass(soundfile.SoundFile):
    """A file that is read from its first sample to the last one.

    soundfile seeks to where it is after every block. That fails in a FLAC of unknown length, and goes back in a damaged
    Ogg, the end of which would be heard twice. A file that cannot seek is left alone.
    """

    def seekable(self) -> bool:
        return False


class _Samples(io.FileIO):
    """A file without the bytes before ``start``."""

    def __init__(self, path: Path, start: int) -> None:
        super().__init__(path)
        self.start = start
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(offset + (self.start if whence == os.SEEK_SET else 0), whence) - self.start

    def tell(self) -> int:
        return super().tell() - self.start


def _open_with_libsndfile(path: Path, stack: ExitStack) -> soundfile.SoundFile:
    # As bytes, where names are bytes: soundfile takes only those of Unicode as text.
    file = stack.enter_context(_OnePass(os.fsencode(path) if os.name == "posix" else path))
    if file.format not in ("WAV", "WAVEX") or file.frames > 0:
        return file
    start = _start_of_unclosed_samples(path)
    if start is None:
        return file
    form = {"samplerate": file.samplerate, "channels": file.channels, "subtype": file.subtype, "endian": "LITTLE"}
    samples = stack.enter_context(_Samples(path, start))
    return stack.enter_context(_OnePass(samples, "r", format="RAW", **form))


def _start_of_unclosed_samples(path: Path) -> int | None:
    """Finds the samples of a WAV whose header counts none, since the program that recorded it was cut off."""
    with path.open("rb") as file:
        riff, size, _ = struct.unpack("<4sI4s", file.read(12))
        if riff != b"RIFF" or size + 8 >= path.stat().st_size:
            return None  # there is nothing behind what the header counts
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                return file.tell()
            file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    # The length in the header is a hint only: it can be too small, too large or unknown.
    num_frames = max(1, min(BLOCK_SAMPLES // file.channels, max(file.frames, 4096)))
    while len(block := file.read(num_frames, dtype="float32", always_2d=True)):
        yield block


@contextmanager
def _open_the_rest(path: Path, reason: str) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    if ffmpeg.find_ffmpeg() is None:
        raise InputError(
            _message(path, reason, "m4a, webm and videos need the program ffmpeg on the PATH; install it, or ")
        )
    try:
        with ffmpeg.open_with_ffmpeg(path, BLOCK_SAMPLES) as opened:
            yield opened
    except RuntimeError as error:
        raise InputError(_message(path, f"{reason}; ffmpeg: {_reason(error)}")) from error


def _check_readable(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such audio file") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder, expected an audio file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is a device or a pipe, expected an audio file")
    if status.st_size == 0:
        raise InputError(f"{path}: is an empty file (0 bytes), expected audio; record or export it again")
    if path.suffix.lower() == ".raw":
        raise InputError(
            f"{path}: has no header, so that its rate, depth and channels are unknown; convert it to WAV, such as with "
            "ffmpeg -f s16le -ar 16000 -ac 1 -i clip.raw clip.wav"
        )


def _message(path: Path, reason: str, advice: str = "") -> str:
    return (
        f"{path}: cannot be read as audio ({reason}); expected WAV, FLAC, OGG, MP3 or AIFF — {advice}convert it to WAV"
    )


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split()).rpartition(": ")[2].rstrip(".")
    return said or type(error).__name__
