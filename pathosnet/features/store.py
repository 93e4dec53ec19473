"""Features that are computed once: found again by what was heard, and by what heard it.

A store is a folder with one shelf for each recipe. A shelf holds packs: safetensors files of many sequences, by the
hash of the recording. Packs are written aside and renamed, never changed, and read through memory maps.
"""

import hashlib
import json
import os
import shutil
import sys
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import Tensor, nn

from pathosnet.errors import InputError
from pathosnet.files import cache_folder, read_json, to_path, write_json

FORMAT = 2
"""To be raised when reading, front ends or networks come to give other features from the same recording and weights."""
PACK_BYTES = 64 << 20
"""A pack is written when so much has come together."""
RECIPE_FILE = "recipe.json"
LEFT_BEHIND_SECONDS = 24 * 3600.0
"""A file that was begun and not finished for so long is nobody's."""


@dataclass(frozen=True)
class Recipe:
    """All that decides which features a recording has."""

    name: str
    """Name of the feature, such as vggish."""
    part: str
    """The features, or what the backbone's unlocked layer reads."""
    config: Mapping[str, Any]
    """The extractor's options."""
    weights: str
    """Hash of its weights."""
    format: int = FORMAT

    def hash(self) -> str:
        """Returns 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ShelfStatistics:
    """Contents of a shelf."""

    recipe: dict[str, Any]
    folder: Path
    sequences: int
    bytes: int
    last_used: float
    """Seconds since 1970."""


@dataclass
class Pruned:
    """Result of pruning."""

    packs: int = 0
    bytes: int = 0
    damaged: list[Path] = field(default_factory=list)


def hash_weights(module: nn.Module) -> str:
    """Hashes names, shapes and values of a module's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(_bytes_of(value))
    return digest.hexdigest()


def default_store(halves: bool = False) -> "FeatureStore | None":
    """Returns the store in the user's cache; None, with a note on stderr, if that cannot be written to.

    Args:
        halves: see FeatureStore.
    """
    folder = cache_folder("features")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"features are not kept from run to run: {folder} cannot be made ({error.strerror})", file=sys.stderr)
        return None
    return FeatureStore(folder, halves=halves)


class FeatureStore:
    """A folder of features; several processes may use it at once.

    Args:
        folder: made when it is first written to.
        halves: whether it keeps float32 as float16, on shelves of their own; numbers that are too large for that stay.
    """

    def __init__(self, folder: str | Path, *, halves: bool = False) -> None:
        self.folder = to_path(folder)
        self.halves = halves

    def shelf(self, recipe: Recipe) -> "Shelf":
        """Returns the features that one recipe makes."""
        if self.halves:
            recipe = replace(recipe, config={**recipe.config, "kept_as": "float16"})
        folder = self.folder / f"{recipe.name}-{recipe.part}-{recipe.hash()[:16]}"
        return Shelf(folder, recipe, halves=self.halves)

    def statistics(self) -> list[ShelfStatistics]:
        """Says what every shelf holds."""
        found = []
        for folder in self._shelves():
            packs = sorted(folder.glob("*.safetensors"))
            states = [pack.stat() for pack in packs]
            found.append(
                ShelfStatistics(
                    recipe=read_json(folder / RECIPE_FILE),
                    folder=folder,
                    sequences=len({key for pack in packs for key in _keys(pack)}),
                    bytes=sum(state.st_size for state in states),
                    last_used=max((state.st_mtime for state in states), default=folder.stat().st_mtime),
                )
            )
        return found

    def prune(self, unused_seconds: float | None = None, max_bytes: int | None = None) -> Pruned:
        """Removes damaged packs and what interrupted processes left; then what was not used for the longest time.

        Args:
            unused_seconds: packs that were not used for so long go.
            max_bytes: packs go, the longest unused first, until no more than this is left.
        """
        pruned = Pruned()
        packs: list[tuple[float, int, Path]] = []
        for folder in self._shelves():
            _remove_left_behind(folder)
            for pack in folder.glob("*.safetensors"):
                state = pack.stat()
                if not _is_intact(pack):
                    pruned.damaged.append(pack)
                    _discard(pack, pruned)
                else:
                    packs.append((state.st_mtime, state.st_size, pack))
        packs.sort()
        total = sum(size for _, size, _ in packs)
        for used, size, pack in packs:
            too_old = unused_seconds is not None and time.time() - used >= unused_seconds
            too_much = max_bytes is not None and total > max_bytes
            if too_old or too_much:
                _discard(pack, pruned)
                total -= size
        for folder in self._shelves():
            in_use = any(folder.glob("*.partial")) or any(map(_is_held, folder.glob("*.lock")))
            if not any(folder.glob("*.safetensors")) and not in_use:
                shutil.rmtree(folder, ignore_errors=True)
        return pruned

    def _shelves(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob(f"*/{RECIPE_FILE}"))


class Shelf:
    """The features that one recipe makes of recordings.

    Args:
        folder: of the packs.
        recipe: what makes them.
        halves: see FeatureStore.
    """

    def __init__(self, folder: Path, recipe: Recipe, *, halves: bool = False) -> None:
        self.folder = folder
        self.recipe = recipe
        self.halves = halves
        self._packs: dict[Path, dict[str, tuple[Tensor, int]]] = {}
        self._checked: dict[str, Tensor] = {}

    def find(self, keys: Sequence[str]) -> dict[str, Tensor]:
        """Returns the sequences that are there, by the hash of their recording; memory-mapped, or float32 of halves.

        What does not fit its checksum is not returned: its pack is removed, with a warning.
        """
        self._open_packs()
        missing = set(keys) - self._checked.keys()
        for path, entries in list(self._packs.items()):
            wanted = missing & entries.keys()
            if not wanted:
                continue
            if any(_checksum(entries[key][0]) != entries[key][1] for key in wanted):
                warnings.warn(f"{path}: is damaged and was removed; its features are made again", stacklevel=2)
                path.unlink(missing_ok=True)
                del self._packs[path]
                continue
            self._checked |= {key: entries[key][0] for key in wanted}
            missing -= wanted
            _mark_used(path)
        found = {key: self._checked[key] for key in keys if key in self._checked}
        return {key: value.float() for key, value in found.items()} if self.halves else found

    @contextmanager
    def writing(self) -> Iterator[Callable[[str, Tensor], None]]:
        """Gives a function that adds a sequence under the hash of its recording.

        What was added is kept, even if the block fails or is interrupted.

        Raises:
            InputError: the folder cannot be written to.
        """
        waiting: dict[str, Tensor] = {}
        num_bytes = 0

        def add(key: str, sequence: Tensor) -> None:
            nonlocal num_bytes
            kept = _halved(sequence) if self.halves else sequence
            waiting[key] = kept.detach().cpu().clone(memory_format=torch.contiguous_format)
            num_bytes += kept.nbytes
            if num_bytes >= PACK_BYTES:
                self._write(waiting)
                waiting.clear()
                num_bytes = 0

        try:
            yield add
        finally:
            if waiting:
                self._write(waiting)

    @contextmanager
    def claimed(self, keys: Sequence[str]) -> Iterator[None]:
        """Lets processes that are about to make the same features do so one after the other."""
        what = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]
        self._make_folder()
        with FileLock(self.folder / f"{what}.lock"):
            yield

    def _open_packs(self) -> None:
        for path in sorted(self.folder.glob("*.safetensors")):
            if path not in self._packs:
                try:
                    self._packs[path] = _open_pack(path)
                except FileNotFoundError:
                    continue  # another process has just removed it
                except _DAMAGE as error:
                    warnings.warn(f"{path}: is damaged and was removed ({error})", stacklevel=3)
                    path.unlink(missing_ok=True)

    def _write(self, sequences: Mapping[str, Tensor]) -> None:
        self._make_folder()
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        aside = path.with_suffix(".partial")
        checksums = json.dumps({key: _checksum(sequence) for key, sequence in sequences.items()})
        try:
            safetensors.torch.save_file(dict(sequences), aside, metadata={"checksums": checksums})
            os.replace(aside, path)
        except (OSError, SafetensorError) as error:
            aside.unlink(missing_ok=True)
            raise _unwritable(self.folder, error) from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def _make_folder(self) -> None:
        recipe = self.folder / RECIPE_FILE
        if recipe.is_file():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = self.folder / f"{uuid.uuid4().hex}.partial"
            write_json(aside, asdict(self.recipe))
            os.replace(aside, recipe)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def _halved(sequence: Tensor) -> Tensor:
    """Rounds float32 to float16, unless a number would become infinite."""
    rounded = sequence.half() if sequence.dtype == torch.float32 else sequence
    return rounded if rounded.isfinite().all() else sequence


_DAMAGE = (SafetensorError, OSError, ValueError, KeyError, TypeError)


def _open_pack(path: Path) -> dict[str, tuple[Tensor, int]]:
    with safetensors.safe_open(path, "pt") as file:
        checksums = json.loads(file.metadata()["checksums"])
        return {key: (file.get_tensor(key), int(checksums[key])) for key in file.keys()}  # noqa: SIM118 - no mapping


def _keys(path: Path) -> list[str]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            return list(file.keys())
    except _DAMAGE:
        return []


def _is_intact(path: Path) -> bool:
    try:
        return all(_checksum(sequence) == checksum for sequence, checksum in _open_pack(path).values())
    except _DAMAGE:
        return False


def _checksum(sequence: Tensor) -> int:
    return zlib.crc32(_bytes_of(sequence))


def _bytes_of(value: Tensor) -> memoryview:
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def _mark_used(path: Path) -> None:
    with suppress(OSError):  # a store that others own can be read all the same
        os.utime(path)


def _discard(pack: Path, pruned: Pruned) -> None:
    pruned.packs += 1
    pruned.bytes += pack.stat().st_size
    pack.unlink(missing_ok=True)


def _remove_left_behind(folder: Path) -> None:
    for path in (*folder.glob("*.partial"), *folder.glob("*.lock")):
        if time.time() - path.stat().st_mtime > LEFT_BEHIND_SECONDS and not _is_held(path):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    """Whether a process holds a lock; its file is as old as the lock's first use, however long it is held."""
    if path.suffix != ".lock":
        return False
    try:
        with FileLock(path, blocking=False):
            return False
    except Timeout:
        return True


def _unwritable(folder: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(
        f"{folder}: features cannot be kept there ({reason}); choose another folder, --feature-store FOLDER, or none"
    )
