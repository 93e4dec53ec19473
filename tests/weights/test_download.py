import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from making import contents
from serving import file_server, wait_until

from pathosnet.errors import InputError
from pathosnet.weights import download
from pathosnet.weights.catalogue import KnownFile
from pathosnet.weights.download import check_file, get_known_file

BODY = bytes(range(256)) * 4000
VECTORS = b"2 3\nciao 1 2 3\nmondo 4 5 6\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache; failures are tried again at once."""
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.3)
    return tmp_path / "cache" / "weights"


def known_at(url: str, **changes) -> KnownFile:
    known = KnownFile("thing", "tests", url.rpartition("/")[2], source="here", licence="none", url=url)
    return replace(known, **changes)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def get(known: KnownFile, **options) -> Path:
    return get_known_file(known, progress=False, **options)


def test_file_is_downloaded_into_the_cache_and_its_hash_recorded(cache):
    with file_server({"/a.bin": BODY}) as server:
        path = get(known_at(f"{server.url}/a.bin"))
    assert path == cache / "a.bin"
    assert path.read_bytes() == BODY
    record = json.loads((cache / "a.bin.origin.json").read_text())
    assert record == {
        "name": "thing",
        "url": f"{server.url}/a.bin",
        "sha256": sha256(BODY),
        "file_sha256": sha256(BODY),
    }
    assert contents(cache) - {"a.bin.lock"} == {"a.bin", "a.bin.origin.json"}


def test_file_that_is_there_is_not_asked_for_again():
    with file_server({"/a.bin": BODY}) as server:
        first = get(known_at(f"{server.url}/a.bin"))
        assert get(known_at(f"{server.url}/a.bin")) == first
        assert len(server.requests) == 1


@pytest.mark.parametrize("expected", [{"sha256": sha256(BODY)}, {"sha256_prefix": sha256(BODY)[:8]}])
def test_known_hash_is_checked(expected, cache):
    with file_server({"/a.bin": BODY, "/b.bin": BODY[:-1] + b"x"}) as server:
        assert get(known_at(f"{server.url}/a.bin", **expected)).read_bytes() == BODY
        with pytest.raises(InputError, match=r"b\.bin has the sha256 \w{64}, expected .*another file and is not kept"):
            get(known_at(f"{server.url}/b.bin", **expected))
    assert not [name for name in contents(cache) if name.startswith("b.bin") and not name.endswith(".lock")]


def test_later_downloads_must_have_the_hash_of_the_first(cache):
    with file_server({"/a.bin": BODY}) as server:
        known = known_at(f"{server.url}/a.bin")
        get(known)
        server.files["/a.bin"] = BODY + b"changed"
        with pytest.raises(InputError, match=r"recorded in .*a\.bin\.origin\.json at the first download"):
            get(known, overwrite=True)
    assert (cache / "a.bin").read_bytes() == BODY


# Connections


def test_connection_that_is_closed_early_is_resumed():
    with file_server({"/a.bin": BODY}, "cut", "cut") as server:
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY
        half, quarter = len(BODY) // 2, len(BODY) // 4
        assert [asked for _, asked in server.requests] == [None, f"bytes={half}-", f"bytes={half + quarter}-"]


def test_server_without_ranges_begins_anew():
    with file_server({"/a.bin": BODY}, "cut", "whole") as server:
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY
        assert len(server.requests) == 2


def test_file_that_changed_meanwhile_begins_anew(cache):
    """Else the halves of two files would be one."""
    with file_server({"/a.bin": BODY}, *["cut", 500, 500, 500, 500, 500]) as server:
        with pytest.raises(InputError, match="what has come is kept"):
            get(known_at(f"{server.url}/a.bin"))
        assert (cache / "a.bin.partial").stat().st_size == len(BODY) // 2
        server.files["/a.bin"] = BODY[::-1]
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY[::-1]


def test_complete_partial_file_is_taken(cache):
    with file_server({"/a.bin": BODY}) as server:
        cache.mkdir(parents=True)
        (cache / "a.bin.partial").write_bytes(BODY)
        (cache / "a.bin.partial.validator").write_text(f'"{hashlib.md5(BODY).hexdigest()}"')
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY
        assert server.requests == [("/a.bin", f"bytes={len(BODY)}-")]


def test_server_that_hangs_is_given_up_and_asked_again():
    with file_server({"/a.bin": BODY}, "hang") as server:
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY
        assert [asked for _, asked in server.requests] == [None, f"bytes={len(BODY) // 2}-"]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_server_in_trouble_is_asked_again(status):
    with file_server({"/a.bin": BODY}, status, status) as server:
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY


@pytest.mark.parametrize("status", [404, 403])
def test_file_that_is_not_there_is_asked_for_once(status, cache):
    with file_server({}, status) as server:
        with pytest.raises(InputError, match=rf"/a\.bin: the server answers {status}.*may have moved"):
            get(known_at(f"{server.url}/a.bin"))
        assert len(server.requests) == 1
    assert not (cache / "a.bin").exists()


def test_server_that_is_not_there():
    with pytest.raises(InputError, match=r"refused.*\(5 attempts\)"):
        get(known_at("http://127.0.0.1:9/a.bin"))


def test_redirections_are_followed_but_not_out_of_https():
    with file_server({"/a.bin": BODY}) as server:
        server.behaviours.append(f"{server.url}/a.bin")
        assert get(known_at(f"{server.url}/moved.bin")).read_bytes() == BODY
    redirects = download._SafeRedirects()
    request = download.urllib.request.Request("https://example.org/a")
    with pytest.raises(InputError, match="not protected; not followed"):
        redirects.redirect_request(request, None, 302, msg="Found", headers={}, newurl="http://example.org/a")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupted_download_goes_on_where_it_ended(cache, tmp_path):
    """As a process of its own: Ctrl-C, then the same again."""
    code = (
        "from pathosnet.weights.download import get_known_file\n"
        "from pathosnet.weights.catalogue import KnownFile\n"
        "import sys\n"
        "get_known_file(KnownFile('thing', '', 'a.bin', '', '', sys.argv[1]), progress=False)"
    )
    with file_server({"/a.bin": BODY}, "hang") as server:
        process = subprocess.Popen(
            [sys.executable, "-c", code, f"{server.url}/a.bin"],
            stderr=subprocess.PIPE,
            env={**os.environ, "PATHOSNET_CACHE": str(tmp_path / "cache")},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        partial = cache / "a.bin.partial"
        wait_until(lambda: partial.is_file() and partial.stat().st_size == len(BODY) // 2)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=30)[1]
        assert partial.stat().st_size == len(BODY) // 2
        assert get(known_at(f"{server.url}/a.bin")).read_bytes() == BODY
        assert server.requests[-1] == ("/a.bin", f"bytes={len(BODY) // 2}-")


def test_two_that_want_the_same_file_download_it_once(capsys):
    with file_server({"/a.bin": BODY}, "hang") as server:
        known = known_at(f"{server.url}/a.bin")
        found = []
        first = threading.Thread(target=lambda: found.append(get(known)))
        first.start()
        assert server.hung.wait(10)
        found.append(get(known))
        first.join()
        assert found[0] == found[1]
        assert len(server.requests) == 2  # the one that hung, and the one that went on
    assert "a.bin: another process gets it; waiting" in capsys.readouterr().err


# Archives


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_gzip_is_unpacked(cache):
    packed = gzip.compress(VECTORS)
    with file_server({"/it.vec.gz": packed}) as server:
        path = get(known_at(f"{server.url}/it.vec.gz", file="it.vec", sha256=sha256(packed)))
    assert path.read_bytes() == VECTORS
    assert not list(cache.glob("*.partial*"))
    assert "recorded when it was downloaded" in check_file(path)


def test_only_the_wanted_member_of_a_zip_is_unpacked(cache, tmp_path):
    packed = zipped(**{"it.txt": VECTORS, "../../evil.txt": b"x", "other.txt": b"y"})
    with file_server({"/several.zip": packed}) as server:
        path = get(known_at(f"{server.url}/several.zip", file="it.txt"))
    assert path.read_bytes() == VECTORS
    assert not [name for name in contents(tmp_path) if "evil" in name or "other" in name]


@pytest.mark.parametrize(
    "packed", [gzip.compress(VECTORS)[:-5], b"<html>moved</html>", zipped(**{"another.txt": VECTORS}), b""], ids=len
)
def test_archive_that_cannot_be_unpacked(packed, cache):
    with (
        file_server({"/it.txt.gz": packed}) as server,
        pytest.raises(InputError, match=r"cannot be unpacked .*get the file again"),
    ):
        get(known_at(f"{server.url}/it.txt.gz", file="it.txt"))
    assert {name for name in contents(cache) if not name.endswith(".lock")} == set()


def test_archive_that_swells_is_refused(cache):
    with (
        file_server({"/it.txt.gz": gzip.compress(bytes(8 << 20))}) as server,
        pytest.raises(InputError, match="unpacks to more than 50 times its size"),
    ):
        get(known_at(f"{server.url}/it.txt.gz", file="it.txt"))
    assert not (cache / "it.txt").exists()


# One's own copies


def test_own_copy_is_taken_without_a_network(cache, tmp_path):
    (tmp_path / "weights.h5").write_bytes(BODY)
    known = KnownFile("thing", "", "thing-weights.h5", source="a page of theirs", licence="none")
    with pytest.raises(InputError, match="get it from a page of theirs, then: pathosnet weights get thing --file"):
        get(known)
    assert get(known, own_copy=tmp_path / "weights.h5").read_bytes() == BODY
    assert (tmp_path / "weights.h5").exists()
    with pytest.raises(InputError, match=r"absent\.h5: no such file"):
        get(known, own_copy=tmp_path / "absent.h5", overwrite=True)


@pytest.mark.parametrize("name", ["it.vec", "it.vec.gz"])
def test_own_copy_may_be_packed_or_not(name, tmp_path):
    packed = gzip.compress(VECTORS, mtime=0)
    (tmp_path / name).write_bytes(packed if name.endswith(".gz") else VECTORS)
    known = KnownFile(
        "thing", "", "it.vec", source="", licence="", url="http://127.0.0.1:9/it.vec.gz", sha256=sha256(packed)
    )
    assert get(known, own_copy=tmp_path / name).read_bytes() == VECTORS


def test_own_copy_has_to_have_the_hash(tmp_path):
    (tmp_path / "a.bin").write_bytes(BODY[1:])
    known = known_at("http://127.0.0.1:9/a.bin", sha256=sha256(BODY))
    with pytest.raises(InputError, match="expected"):
        get(known, own_copy=tmp_path / "a.bin")
    assert (tmp_path / "a.bin").exists()


def test_file_that_was_changed_in_the_cache_is_noticed():
    with file_server({"/a.bin": BODY}) as server:
        path = get(known_at(f"{server.url}/a.bin"))
    assert check_file(path) == f"sha256 {sha256(BODY)} (recorded when it was downloaded)"
    path.write_bytes(BODY[1:])
    with pytest.raises(InputError, match=r"a\.bin: has the sha256 .*recorded when it was downloaded"):
        check_file(path)


def test_cache_that_cannot_be_written_is_named(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"weights: cannot be written .*set PATHOSNET_CACHE"):
        get(known_at("http://127.0.0.1:9/a.bin"))
