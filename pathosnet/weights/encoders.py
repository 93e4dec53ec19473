"""Speech encoders that have a short name: fetched, or taken from a folder, into the cache."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS, KnownEncoder
from pathosnet.features.acoustic.encoders.opening import (
    FILES,
    PICKLED,
    encoder_folder,
    find_encoder,
    is_fetched,
    open_speech_encoder,
)
from pathosnet.files import written_aside


def add_encoder(name: str, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Puts an encoder's folder into the cache, where the option of its short name finds it.

    Args:
        name: such as ``whisper-base``.
        folder: a Hugging Face folder with ``config.json`` and the weights.
        overwrite: replace what is there.

    Returns:
        The folder in the cache.

    Raises:
        InputError: no encoder has this name, the folder holds another one, or the cache cannot be written to.
    """
    known = find_known_encoder(name)
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with config.json and model.safetensors")
    encoder = open_speech_encoder(f"hf:{folder}")
    assert encoder.source is not None
    if known.sha256 and encoder.source.sha256 != known.sha256:
        raise InputError(
            f"{folder}: is not {name} (tensors of sha256 {encoder.source.sha256[:16]}…, expected "
            f"{known.sha256[:16]}…); use it by its folder, --acoustic hf:{folder}"
        )
    target = encoder_folder(name)
    with written_aside(target, overwrite, marker="config.json") as aside:
        for file in _files_of(folder):
            shutil.copyfile(file, aside / file.name)
    return target


def get_encoder(name: str) -> Path:
    """Fetches an encoder from the Hugging Face hub, unless it is here.

    Returns:
        Its folder.

    Raises:
        InputError: no encoder has this name, or it cannot be fetched.
    """
    return find_encoder(find_known_encoder(name).name)[0]


def verify_encoder(name: str) -> str:
    """Opens an encoder that is here, and says what it is and whether its tensors are the ones that are known.

    Raises:
        InputError: it is not here, or another one has its place.
    """
    known = find_known_encoder(name)
    if not is_fetched(known):
        raise InputError(f"{name}: is not here; get it with: pathosnet weights get {name}")
    encoder = open_speech_encoder(name)
    assert encoder.source is not None
    sha256 = encoder.source.sha256
    if known.sha256 and sha256 != known.sha256:
        raise InputError(f"{name}: has tensors of sha256 {sha256}, expected {known.sha256}; it is another encoder")
    agrees = "known to pathosnet" if known.sha256 else "nothing to compare it with"
    return f"tensors of sha256 {sha256} ({agrees}); {encoder.num_layers} layers of {encoder.dim}"


def find_known_encoder(name: str) -> KnownEncoder:
    """Returns an encoder of the catalogue.

    Raises:
        InputError: none has this name.
    """
    if name not in KNOWN_ENCODERS:
        raise InputError(f"no known speech encoder is called {name!r}; expected {', '.join(KNOWN_ENCODERS)}")
    return KNOWN_ENCODERS[name]


def _files_of(folder: Path) -> Iterator[Path]:
    """Yields the files of an encoder: safetensors, or what is pickled where there are none."""
    stored = [file for pattern in FILES for file in sorted(folder.glob(pattern)) if file.is_file()]
    yield from stored
    if not any(file.suffix == ".safetensors" for file in stored):
        yield from folder.glob(PICKLED[0])
