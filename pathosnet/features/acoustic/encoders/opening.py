"""Speech encoders by name: where their files are, and whether they are the ones that a model was trained with."""

import hashlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import EncoderSource, SpeechEncoder
from pathosnet.features.acoustic.encoders.bundles import BUNDLE_PREFIX, open_bundle
from pathosnet.features.acoustic.encoders.hugging_face import open_with_transformers
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS, KnownEncoder
from pathosnet.features.acoustic.encoders.whisper import open_whisper
from pathosnet.features.text.encoder_outline import MAX_CONFIG_BYTES
from pathosnet.files import cache_folder, read_json, to_path

HUB_PREFIX = "hf:"
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
COMMIT = re.compile("[0-9a-f]{40}")
FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
PICKLED = ["pytorch_model.bin"]  # read without running code; what many older encoders have alone


def open_speech_encoder(name: str, revision: str | None = None, folder: Path | None = None) -> SpeechEncoder:
    """Opens a speech encoder.

    Args:
        name: a short name (``whisper-base``), ``hf:FOLDER``, ``hf:NAME[@REVISION]`` of the Hugging Face hub, from where
            it is fetched once, or ``torchaudio:BUNDLE``. With ``HF_HUB_OFFLINE=1`` only what was fetched is used.
        revision: its commit on the hub, if the name does not say it.
        folder: to look into first.

    Raises:
        InputError: it is not there, cannot be fetched, or is no speech encoder.
    """
    if name.startswith(BUNDLE_PREFIX):
        encoder = open_bundle(name.removeprefix(BUNDLE_PREFIX))
        encoder.source = EncoderSource(name, None, hash_tensors(encoder.network.state_dict()))
        return encoder
    place, commit = (folder, revision) if folder is not None else find_encoder(name, revision)
    return _open_folder(place, name, commit)


def open_same(source: EncoderSource, folder: Path | None = None) -> SpeechEncoder:
    """Opens the encoder that a model was trained with.

    Args:
        source: what the model says about it.
        folder: with encoders, to look into first.

    Raises:
        InputError: it is not here, or another one has its place.
    """
    if source.name.removeprefix(HUB_PREFIX).startswith(("//", "\\\\")):
        raise InputError(f"{source.name}: is on another machine; not looked for")
    places = [place for place in _folders_beside(source, folder) if (place / "config.json").is_file()]
    encoder = open_speech_encoder(source.name, source.revision, places[0] if places else None)
    assert encoder.source is not None
    if encoder.source.sha256 != source.sha256:
        raise InputError(
            f"{source.name}: is another encoder than the one that the model was trained with (tensors of sha256 "
            f"{encoder.source.sha256[:16]}…, expected {source.sha256[:16]}…); put that back, or pass weights=FOLDER"
        )
    return encoder


def find_encoder(name: str, revision: str | None = None) -> tuple[Path, str | None]:
    """Finds an encoder's folder, and fetches it if it is on the hub and not here.

    Returns:
        The folder, and the commit if it is from the hub.

    Raises:
        InputError: it is not there, or cannot be fetched.
    """
    if name in KNOWN_ENCODERS:
        known = KNOWN_ENCODERS[name]
        own = encoder_folder(name)
        if (own / "config.json").is_file():
            return own, known.revision or None
        return fetch(known.repository, revision or known.revision or None, known)
    value = name.removeprefix(HUB_PREFIX)
    if to_path(value).is_dir():
        return to_path(value), None
    repository, _, own_revision = value.partition("@")
    if not HUB_NAME.fullmatch(repository):
        raise InputError(f"{name}: expected a folder that is there, or a model's name on the hub, got {value!r}")
    return fetch(repository, revision or own_revision or None)


def encoder_folder(name: str) -> Path:
    """Returns where ``pathosnet weights`` keeps an encoder that has a short name."""
    return cache_folder("weights") / name


def fetch(repository: str, revision: str | None, known: KnownEncoder | None = None) -> tuple[Path, str | None]:
    """Fetches an encoder of the hub into the hub's cache, once; a download that was interrupted goes on.

    Returns:
        Its folder and commit.

    Raises:
        InputError: it cannot be fetched, and was not fetched before.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    name = known.name if known else f"{HUB_PREFIX}{repository}" + (f"@{revision}" if revision else "")
    here = _fetched(repository, revision)
    if here is not None:
        return here, here.name if COMMIT.fullmatch(here.name) else None
    if constants.HF_HUB_OFFLINE:
        raise _not_fetched(name, known, "HF_HUB_OFFLINE is set")
    try:
        if known:
            announce(known)
        # Asked once: without a network, the download below would try again and again for half a minute.
        HfApi().model_info(repository, revision=revision, timeout=10)
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, ignore_patterns="*/*"))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES + PICKLED))
    except Exception as error:  # the hub's, the network's and the disk's have no common class
        raise _not_fetched(name, known, " ".join(str(error).split())[:200]) from error
    return folder, folder.name if COMMIT.fullmatch(folder.name) else None


def _not_fetched(name: str, known: KnownEncoder | None, reason: str) -> InputError:
    own = f"pathosnet weights add {known.name} FOLDER" if known else f"{HUB_PREFIX}FOLDER"
    return InputError(
        f"{name}: cannot be fetched, and was not fetched before ({reason}); check the name and the network, or "
        f"name a folder that holds it: {own}"
    )


def is_fetched(known: KnownEncoder) -> bool:
    """Whether an encoder is here: in this library's cache or in the hub's."""
    own = (encoder_folder(known.name) / "config.json").is_file()
    return own or _fetched(known.repository, known.revision or None) is not None


def _fetched(repository: str, revision: str | None) -> Path | None:
    """Returns the folder of an encoder in the hub's cache; None if it is not there, or not whole."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, local_files_only=True))
    except (ValueError, OSError):  # what the hub's errors for this are
        return None
    is_whole = any(folder.glob("*.safetensors")) or any(folder.glob(PICKLED[0]))
    return folder if is_whole else None


def announce(known: KnownEncoder) -> None:
    """Says on stderr what is about to be fetched, and how much that is."""
    print(f"{known.name}: fetching {known.repository} ({known.size} MB, {known.license}), once", file=sys.stderr)


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Hashes names, shapes and values rounded to half precision: float16 and float32 copies count as one."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().half().contiguous().numpy().data)
    return digest.hexdigest()


def _open_folder(folder: Path, name: str, revision: str | None) -> SpeechEncoder:
    path = folder / "config.json"
    if path.is_file() and path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"{path}: is larger than {MAX_CONFIG_BYTES:,} bytes; it describes no encoder")
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected an encoder's configuration, got {type(config).__name__}")
    is_whisper = config.get("model_type") == "whisper"
    encoder = open_whisper(folder, config) if is_whisper else open_with_transformers(folder, name)
    sha256 = hash_tensors(encoder.network.state_dict())
    same = next((known.name for known in KNOWN_ENCODERS.values() if known.sha256 == sha256), None)
    if same is not None and name != same:  # a model that is trained with a copy of it can then be used anywhere
        name, revision = same, KNOWN_ENCODERS[same].revision or None
    encoder.source = EncoderSource(name, revision, sha256)
    return encoder


def _folders_beside(source: EncoderSource, folder: Path | None) -> list[Path]:
    """Lists where an encoder may be: in a folder of encoders, or as that folder itself."""
    if folder is None:
        return []
    return [folder / source.name.rpartition("/")[2].removeprefix(HUB_PREFIX), folder]
