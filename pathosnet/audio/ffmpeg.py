"""Decoding by the ffmpeg program, for what libsndfile cannot read: m4a, webm, the sound of videos."""

import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

SUFFIXES = frozenset(
    (
        *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".asf", ".m4a", ".m4b", ".mka", ".tta", ".wma", ".wv"),
        *(".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    )
)
"""Suffixes of recordings and videos that ffmpeg decodes."""
FORMATS = (
    "3gp,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,m4a,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,"
    "mpegts,nut,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,webm,wv"
)
"""Containers that hold sound themselves: no playlists, which would let a file name others that are then read."""
MESSAGE_BYTES = 1000
HEADER = struct.Struct(">4s5I")  # of Sun's AU: magic, start of the samples, their size, encoding, rate, channels


def find_ffmpeg() -> str | None:
    """Returns the path of the program, if it is installed."""
    return shutil.which("ffmpeg")


@contextmanager
def open_with_ffmpeg(path: Path, block_samples: int) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Decodes the first sound track of a file.

    The program gets no shell, no network and no way to take the file's name for anything else than a file's.

    Args:
        path: the file.
        block_samples: most samples of a block, all channels together.

    Yields:
        The rate in Hz, and blocks ``(samples, channels)`` float32.

    Raises:
        RuntimeError: ffmpeg is missing, or found no sound.
    """
    program = find_ffmpeg()
    if program is None:
        raise RuntimeError("ffmpeg is not installed")
    only_files = ["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS]
    output = ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    command = [program, "-nostdin", "-hide_banner", "-v", "error", *only_files, "-i", f"file:{path}", *output]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        messages: list[bytes] = []
        listener = threading.Thread(target=_listen, args=[process.stderr, messages], daemon=True)
        listener.start()

        def check() -> None:
            listener.join()
            if process.wait():
                raise RuntimeError(_reason(messages))

        try:
            header = process.stdout.read(HEADER.size)
            if len(header) < HEADER.size:
                check()
                raise RuntimeError("there is no sound in it")
            _, start, _, _, rate, channels = HEADER.unpack(header)
            process.stdout.read(start - HEADER.size)
            yield rate, _blocks(process.stdout, channels, block_samples)
            check()
        finally:
            process.kill()
            listener.join()


def _listen(stream: IO[bytes], messages: list[bytes]) -> None:
    """Keeps the first message, and reads on: a full pipe would stop the program."""
    messages.append(stream.readline(MESSAGE_BYTES))
    while stream.read(MESSAGE_BYTES):
        pass


def _reason(messages: list[bytes]) -> str:
    said = b"".join(messages).decode(errors="replace").strip()
    if "matches no streams" in said:
        return "there is no sound in it"
    return re.sub(r"^\[.*?\] *", "", said) or "it failed without a message"


def _blocks(stream: IO[bytes], channels: int, block_samples: int) -> Iterator[np.ndarray]:
    num_bytes = max(1, block_samples // channels) * channels * 4
    while data := stream.read(num_bytes):
        whole = len(data) - len(data) % (channels * 4)
        yield np.frombuffer(data[:whole], ">f4").reshape(-1, channels).astype(np.float32)
