"""Getting files of the catalogue: resumed where it ended, checked by hash, and there whole or not at all."""

import gzip
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from pathosnet.errors import InputError
from pathosnet.files import file_written_aside, hash_file, read_json, to_path, write_json
from pathosnet.weights.catalogue import KnownFile, find_by_file

TIMEOUT_SECONDS = 30.0  # without a byte
ATTEMPTS = 5  # in a row that bring nothing
PAUSE_SECONDS = 1.0  # after the first of them; doubled after each
PIECE_BYTES = 1 << 18
MAX_EXPANSION = 50  # of an archive; word vectors expand threefold


def get_known_file(
    known: KnownFile, own_copy: str | Path | None = None, overwrite: bool = False, *, progress: bool = True
) -> Path:
    """Puts a file of the catalogue into the cache.

    Its hash has to be the catalogue's; where that has none, the hash of the first download is recorded beside the file
    (``.origin.json``) and later downloads have to have it. Two processes that want the same file wait for each other.

    Args:
        known: what to get.
        own_copy: take this file, as it is published (packed or not), instead of downloading.
        overwrite: get the file again if it is there.
        progress: show a progress bar.

    Returns:
        The file.

    Raises:
        InputError: it cannot be had, or is not the file that it should be.
    """
    target = known.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be written ({error.strerror}); set PATHOSNET_CACHE") from error
    with _locked(target):
        if target.is_file() and not overwrite:
            return target
        for left in target.parent.glob(f".{target.name}.partial-*"):  # by a process that was killed; ours is locked
            left.unlink()
        if own_copy is None and not known.url:
            raise InputError(
                f"{known.name}: has no address to download from; get it from {known.source}, then: "
                f"pathosnet weights get {known.name} --file YOUR_COPY"
            )
        got = target.with_name(f"{known.download}.partial") if own_copy is None else to_path(own_copy)
        if own_copy is None:
            download(known.url, got, progress)
        elif not got.is_file():
            raise InputError(f"{got}: no such file")
        unpacked = own_copy is not None and known.download != known.file and got.suffix == Path(known.file).suffix
        try:
            origin = _check(known, got, unpacked)
            with file_written_aside(target, overwrite=True) as aside:
                if unpacked or known.download == known.file:
                    (shutil.copyfile if own_copy is not None else os.replace)(got, aside)
                else:
                    _unpack(got, aside, known.file)
                origin["file_sha256"] = hash_file(aside)
                with file_written_aside(origin_path(target), overwrite=True) as record:
                    write_json(record, origin)  # first: whoever finds the file finds out where it came from
        except InputError:
            if own_copy is None:
                forget(got)
            raise
        except OSError as error:
            raise InputError(
                f"{target}: cannot be written ({error.strerror}); make room, or set PATHOSNET_CACHE"
            ) from error
        if own_copy is None:
            forget(got)
    return target


def check_file(path: str | Path) -> str:
    """Compares a file's hash with the catalogue, and with the record of its download.

    Returns:
        The hash, and what it agrees with.

    Raises:
        InputError: it is another file than its name says.
    """
    path = to_path(path)
    found = hash_file(path)
    known = find_by_file(path.name)
    record = origin_path(path)
    expected = {}
    if known is not None and known.download == known.file:
        expected["known to pathosnet"] = known.sha256 or known.sha256_prefix
    if record.is_file():
        expected["recorded when it was downloaded"] = read_json(record).get("file_sha256", "")
    agreed = []
    for by, sha256 in expected.items():
        if not found.startswith(sha256):
            raise InputError(f"{path}: has the sha256 {found}, expected {sha256} ({by}); it is damaged or another file")
        if sha256:
            agreed.append(by if len(sha256) == len(found) else f"begins as {by}")
    return f"sha256 {found} ({', '.join(agreed) or 'nothing to compare it with'})"


def origin_path(file: Path) -> Path:
    """Returns where it is written what a file of the cache was downloaded as."""
    return file.with_name(f"{file.name}.origin.json")


def forget(partial: Path) -> None:
    """Removes what was downloaded so far."""
    for path in (partial, _validator_path(partial)):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    lock = FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{target.name}: another process gets it; waiting", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check(known: KnownFile, path: Path, unpacked: bool) -> dict[str, Any]:
    """Compares a download's hash with what is known about it, and returns the record to keep."""
    found = hash_file(path)
    record = origin_path(known.path)
    recorded = read_json(record) if record.is_file() else {}
    if unpacked:  # the catalogue has the hash of the archive
        expected, by = recorded.get("file_sha256", ""), f"recorded in {record}"
    else:
        expected, by = known.sha256 or known.sha256_prefix, "known to pathosnet"
        if not known.sha256 and recorded.get("sha256"):
            expected, by = recorded["sha256"], f"recorded in {record} at the first download; remove that to trust anew"
    if not found.startswith(expected):
        raise InputError(
            f"{known.name}: what came from {known.url or path} has the sha256 {found}, expected {expected} ({by}); "
            "it is damaged or another file and is not kept"
        )
    sha256 = recorded.get("sha256", "") if unpacked else found
    return {"name": known.name, "url": known.url, "sha256": sha256}


def _unpack(archive: Path, target: Path, member: str) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as several, several.open(member) as packed:
                _copy_bounded(packed, target, archive)
        else:
            with gzip.open(archive) as packed:
                _copy_bounded(packed, target, archive)
    except (EOFError, KeyError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise InputError(f"{archive}: cannot be unpacked ({error}); get the file again") from error


def _copy_bounded(packed: IO[bytes] | gzip.GzipFile, target: Path, source: Path) -> None:
    limit = MAX_EXPANSION * source.stat().st_size
    with target.open("wb") as file:
        while piece := packed.read(1 << 20):
            file.write(piece)
            if file.tell() > limit:
                raise InputError(f"{source}: unpacks to more than {MAX_EXPANSION} times its size; not a published file")
        if not file.tell():
            raise EOFError("it holds nothing")


def download(url: str, partial: Path, progress: bool = True) -> None:
    """Downloads into a file, going on where an earlier attempt ended if the server has still the same file.

    Args:
        url: where from.
        partial: the file; what is there of it stays if this fails or is interrupted.
        progress: show a progress bar.

    Raises:
        InputError: the server does not have the file, or the connection fails again and again.
    """
    failures, reason = 0, ""
    while failures < ATTEMPTS:
        before = _size(partial)
        try:
            if _transfer(url, partial, progress):
                return
            reason = "the connection was closed early"
        except urllib.error.HTTPError as error:
            with error:
                reason = f"the server answers {error.code} {error.reason}"
                if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{before}":
                    return  # everything was there already
            if error.code == 416:
                forget(partial)
            elif error.code < 500 and error.code not in (408, 429):
                raise InputError(f"{url}: {reason}; the file may have moved, or is not for everybody") from error
        except (OSError, http.client.HTTPException) as error:  # URLError and TimeoutError are OSErrors
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 0 if _size(partial) > before else failures + 1
        if 0 < failures < ATTEMPTS:
            time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
    raise InputError(
        f"{url}: {reason} ({ATTEMPTS} attempts); what has come is kept, the same command goes on from there"
    )


def _transfer(url: str, partial: Path, progress: bool) -> bool:
    """Makes one request, and returns whether the file is complete."""
    headers = {"User-Agent": "pathosnet", "Accept-Encoding": "identity"}
    validator_path = _validator_path(partial)
    offset = _size(partial) if validator_path.is_file() else 0
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator_path.read_text(encoding="utf-8")}
    opener = urllib.request.build_opener(_SafeRedirects)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as response:
        if response.status == 206:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != offset:
                forget(partial)
                return False
            total: int | None = int(match[2])
        else:  # the whole file: the server knows no ranges, or has another file now
            offset = 0
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            _remember_validator(validator_path, response.headers)
        _write(response, partial, offset, total=total, url=url, progress=progress)
    return total is None or _size(partial) == total


def _write(
    response: http.client.HTTPResponse, partial: Path, offset: int, total: int | None, url: str, progress: bool
) -> None:
    name = url.rpartition("/")[2]
    with (
        _writable(partial).open("ab" if offset else "wb") as file,
        tqdm(total=total, initial=offset, desc=name, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        while piece := response.read1(PIECE_BYTES):
            try:
                file.write(piece)
            except OSError as error:
                raise InputError(
                    f"{partial}: cannot be written ({error.strerror}); make room, or set PATHOSNET_CACHE"
                ) from error
            bar.update(len(piece))


def _writable(path: Path) -> Path:
    try:
        path.touch()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); set PATHOSNET_CACHE") from error
    return path


def _remember_validator(path: Path, headers: Any) -> None:
    """Keeps what tells whether the server's file is still the same; without it a download begins anew."""
    tag = headers.get("ETag") or ""
    validator = headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag
    if validator:
        path.write_text(validator, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _validator_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.validator")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Never follows from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise InputError(f"{req.full_url}: redirects to {newurl}, which is not protected; not followed")
        return super().redirect_request(req, fp, code, msg=msg, headers=headers, newurl=newurl)
