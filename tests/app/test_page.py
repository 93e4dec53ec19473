"""The page, as a browser and a program meet it; its server is a process of its own. Needs Gradio."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest
import soundfile
import torch
from commands import error_of
from making import random_model, tone

from pathosnet import PathosNet
from pathosnet.app.page import make_page
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="needs Gradio: pip install 'pathosnet[app]'"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    options = BranchOptions(audio_width=6, network="linear", standardize=True)
    network = EmotionNetwork({"logmel": 256}, 4, options=options).eval()
    network.classifier.weight.data.normal_()
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None, calibration_temperature=100.0)
    folder = tmp_path_factory.mktemp("models") / "model"
    model.save_pretrained(folder)
    return PathosNet.from_pretrained(folder)


class Page:
    """A running ``pathosnet app``, asked over HTTP."""

    def __init__(self, model: PathosNet, uploads: Path) -> None:
        self.uploads = uploads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pathosnet", "app", model.origin],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(uploads)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )
        told = self.process.stdout.readline()
        assert told.startswith("the page is at http://127.0.0.1:"), self.process.stderr.read()
        self.address = told.split()[4].rstrip(";")

    def open(self, path: str, content: bytes | None = None, kind: str = "application/json") -> str:
        request = urllib.request.Request(f"{self.address}gradio_api/{path}", content, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def upload(self, path: Path) -> dict:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + b"\r\n--x--\r\n"
        (name,) = json.loads(self.open("upload", body, "multipart/form-data; boundary=x"))
        return {"path": name, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def call(self, name: str, session: str, *data: object) -> list:
        asked = json.dumps({"data": data, "session_hash": session}).encode()
        event = json.loads(self.open(f"call/{name}", asked))["event_id"]
        kind, told = self.open(f"call/{name}/{event}").strip().splitlines()[-2:]
        assert kind == "event: complete", told
        return json.loads(told.removeprefix("data: "))

    def ask(self, path: Path | None, session: str) -> list:
        return self.call("answer", session, path and self.upload(path), "", None, None)


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    page = Page(model, tmp_path_factory.mktemp("uploads"))
    yield page
    page.process.kill()
    page.process.communicate()


@pytest.fixture
def session():
    return uuid.uuid4().hex


@pytest.fixture
def clip(tmp_path):
    soundfile.write(tmp_path / "clip.wav", tone(1.0), 16_000)
    return tmp_path / "clip.wav"


def shares(values):
    return {one["label"]: one["confidence"] for one in values["confidences"]}


@needs_gradio
def test_a_recording_is_answered(page, session, model, clip):
    summary, values, parts, picture, changes, _ = page.ask(clip, session)
    expected = model.predict(clip)
    assert summary.startswith(f"### {expected.label}, ")
    assert shares(values) == pytest.approx(expected.probabilities, abs=1e-6)
    assert parts["data"][0][0] == "0.0–1.0 s"
    assert "<svg" in picture
    assert changes == ""


@needs_gradio
def test_a_profile_made_of_clips_changes_the_answer(page, session, model, clip, tmp_path):
    soundfile.write(tmp_path / "other.wav", tone(1.0, 800), 16_000)
    told = page.call("profile", session, [page.upload(tmp_path / "other.wav")])
    assert told[-1] == "The profile of 1 clip is taken into account."
    expected = model.predict(clip, profile=model.profile([tmp_path / "other.wav"])).probabilities
    assert shares(page.ask(clip, session)[1]) == pytest.approx(expected, abs=1e-6)
    assert expected != pytest.approx(model.predict(clip).probabilities, abs=1e-3)
    assert page.call("profile", session, None)[-1].startswith("No profile")
    assert shares(page.ask(clip, session)[1]) == pytest.approx(model.predict(clip).probabilities, abs=1e-6)


@needs_gradio
def test_other_words_show_what_they_change(session, clip, tmp_path):
    reading = random_model()
    reading.save_pretrained(tmp_path / "model")
    reading = PathosNet.from_pretrained(tmp_path / "model")
    (tmp_path / "uploads").mkdir()
    page = Page(reading, tmp_path / "uploads")
    try:
        uploaded = page.upload(clip)
        told = [page.call("answer", session, uploaded, text, None, None)[-2] for text in ("", "go away", "go away")]
    finally:
        page.process.kill()
        page.process.communicate()
    assert (told[0], told[2]) == ("", "")
    assert "“go away” instead of no words changes most" in told[1]
    before, now = (reading.predict(clip, text).probabilities["anger"] for text in (None, "go away"))
    assert f"| anger | {before:.2f} | {now:.2f} | {now - before:+.2f} |" in told[1]


@needs_gradio
def test_mistakes_are_told_on_the_page_by_the_files_own_name(page, session, tmp_path):
    (tmp_path / "notes.wav").write_text("no sound")
    assert page.ask(tmp_path / "notes.wav", session)[0].startswith("notes.wav: cannot be read as audio")
    assert page.ask(None, session)[0] == "Record something, choose a file first."


@needs_gradio
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_page_without_fonts_from_elsewhere(page, tmp_path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [CHROMIUM, *options, f"--user-data-dir={tmp_path}", "--dump-dom", page.address],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    for words in (
        "Emotions in speech",
        "tells apart happiness, anger, sadness, neutral",
        "This model reads no text",
        "this computer",
        "Answer",
    ):
        assert words in done.stdout
    assert "fonts.g" not in done.stdout


@needs_gradio
def test_ctrl_c_ends_it_calmly_and_deletes_what_was_uploaded(page, session, clip):
    """The last one: the server is gone."""
    page.ask(clip, session)
    assert list(page.uploads.rglob("clip.wav"))
    page.process.send_signal(signal.SIGINT)
    _, err = page.process.communicate(timeout=60)
    assert (page.process.returncode, err.strip()) == (0, "")
    assert list(page.uploads.rglob("*.wav")) == []


def test_an_address_that_cannot_be_used_is_an_error_before_the_model_is_loaded(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = error_of(capsys, "app", "absent", "--port", port)
    assert told.startswith(f"error: 127.0.0.1:{port}: no page can be served there (")
    assert "no page can be served there" in error_of(capsys, "app", "absent", "--host", "192.0.2.1")
    assert "port: expected a number from 1 to 65535, got 0" in error_of(capsys, "app", "absent", "--port", "0")


def test_without_gradio_the_message_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install 'pathosnet\[app\]'"):
        make_page(random_model())
    assert "pip install 'pathosnet[app]'" in error_of(capsys, "app", "small")
