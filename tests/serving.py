"""HTTP servers on this machine: one that misbehaves as asked, and one that imitates a hub of models."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **state: Any) -> Iterator[Any]:
    """A server with attributes; ``url`` is its address."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_port}"
    for name, value in state.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    """What handlers share."""

    server: Any
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def answer(self, code: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")  # else a server that is shut down goes on answering old connections
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class FileServer(Quiet):
    """Serves ``server.files``, path → bytes, each request as the next of ``server.behaviours`` says.

    ``ranges`` (the default) answers ranges; ``whole`` ignores them; ``cut`` closes after half of what is left; ``hang``
    sends half and waits; a number is the status of an empty answer; a text that begins with http redirects.
    """

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        behavior = self.server.behaviours.pop(0) if self.server.behaviours else "ranges"
        if isinstance(behavior, int):
            return self.answer(behavior)
        if behavior.startswith("http"):
            return self.answer(302, Location=behavior)
        body = self.server.files.get(self.path)
        if body is None:
            return self.answer(404)
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start, headers = 0, {"ETag": tag}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and behavior != "whole" and self.headers.get("If-Range") == tag:
            start = int(match[1])
            if start >= len(body):
                return self.answer(416, Content_Range=f"bytes */{len(body)}")
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        rest = body[start:]
        sent = rest if behavior in ("ranges", "whole") else rest[: len(rest) // 2]
        self.answer(206 if start else 200, sent, len(rest), **headers)
        if behavior == "hang":
            self.wfile.flush()
            self.server.hung.set()
            self.server.release.wait(20)
        return None


@contextmanager
def file_server(files: dict[str, bytes], *behaviours: str | int) -> Iterator[Any]:
    """See FileServer."""
    hung, release = threading.Event(), threading.Event()
    with serving(
        FileServer, files=files, behaviours=list(behaviours), requests=[], hung=hung, release=release
    ) as server:
        try:
            yield server
        finally:
            release.set()


class HubServer(Quiet):
    """Imitates what huggingface_hub asks of a hub for one model that is made of ``server.repos[id]``, path → bytes."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._if_there(match[1], match[2], lambda files: self._json(_info(match[1], files)))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+).*", path):
            self._if_there(match[1], match[2], lambda files: self._json([_entry(*item) for item in files.items()]))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._if_there(match[1], match[2], lambda files: self._file(files, match[3]))
        else:
            self.answer(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path))
        self.server.tokens.append(self.headers.get("Authorization"))
        if self.server.locked:
            return self._json({"error": "no"}, 401)
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'anna'}/{asked['name']}"
            self.server.repos.setdefault(name, {})
            return self._json({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", path):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for f in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/([^/]+)", path):
            return self._json({})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", path):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.server.repos[match[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.server.url}/{match[1]}/commit/{_commit(self.server.repos[match[1]])}"
            return self._json({"commitUrl": url, "commitOid": url[-40:], "pullRequestUrl": None, "success": True})
        return self.answer(404)

    def _if_there(self, name: str, revision: str | None, then: Callable[[dict[str, bytes]], None]) -> None:
        files = self.server.repos.get(name)
        if files is None:
            self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif revision not in (None, "main", "v1", _commit(files)):
            self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
        else:
            then(files)

    def _file(self, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            return self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        return self.answer(200, files[path], ETag=f'"{_blob(files[path])}"', X_Repo_Commit=_commit(files))

    def _json(self, value: Any, code: int = 200) -> None:
        self.answer(code, json.dumps(value).encode(), Content_Type="application/json")


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _commit(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted((name, _blob(content)) for name, content in files.items())).encode()).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}


def _info(name: str, files: dict[str, bytes]) -> dict[str, Any]:
    siblings = [{"rfilename": path} for path in files]
    return {"id": name, "modelId": name, "sha": _commit(files), "siblings": siblings, "private": False, "tags": []}


@contextmanager
def hub_server(**repos: dict[str, bytes]) -> Iterator[Any]:
    """See HubServer; a model ``anna__small`` is called ``anna/small``."""
    named = {name.replace("__", "/"): files for name, files in repos.items()}
    with serving(HubServer, repos=named, requests=[], tokens=[], locked=False) as server:
        yield server


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
