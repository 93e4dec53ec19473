"""What strangers' files try: to grow, to lead elsewhere, to speak to a terminal, to run in a browser."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from cases import within_bounds
from commands import error_of
from making import make_predictions, tone, write_tone

from pathosnet import PathosNet, cli
from pathosnet.audio.reading import read_recording
from pathosnet.errors import InputError, printable
from pathosnet.evaluation.report import CrossValidationReport, write_evaluation
from pathosnet.recognizer.card import CorpusFacts, Facts
from pathosnet.recognizer.shipped import shipped_folder
from pathosnet.weights.files import read_tensors

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt"
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


# Weights


def write_keras(path: Path, kernel) -> Path:
    """A file of Keras weights whose only kernel is a link, or whatever is given."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        layer = file.create_group("conv1")
        layer.attrs["weight_names"] = [b"kernel:0"]
        kernel(layer)
    return path


def test_links_in_hdf5_do_not_lead_to_other_files(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["numbers"] = np.ones((3, 3, 1, 4), np.float32)

    def link(layer) -> None:
        layer["kernel:0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "numbers")

    with pytest.raises(InputError, match="another file"):
        read_tensors(write_keras(tmp_path / "linked.h5", link))


def test_hdf5_does_not_take_numbers_out_of_other_files(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(144))

    def outside(layer) -> None:
        outside = [(str(tmp_path / "secret.bin"), 0, 144)]
        layer.create_dataset("kernel:0", (3, 3, 1, 4), np.float32, external=outside)

    with pytest.raises(InputError, match="another file"):
        read_tensors(write_keras(tmp_path / "outside.h5", outside))

    def virtual(layer) -> None:
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["numbers"] = np.ones((3, 3, 1, 4), np.float32)
        layout = h5py.VirtualLayout((3, 3, 1, 4), np.float32)
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "numbers", (3, 3, 1, 4))
        layer.create_virtual_dataset("kernel:0", layout)

    with pytest.raises(InputError, match="another file"):
        read_tensors(write_keras(tmp_path / "virtual.h5", virtual))


def test_soft_links_in_a_circle_end(tmp_path):
    def circle(layer) -> None:
        layer["kernel:0"] = h5py.SoftLink("/conv1/kernel:0")

    with within_bounds(), pytest.raises(InputError):
        read_tensors(write_keras(tmp_path / "circle.h5", circle))


def test_hdf5_of_enormous_arrays_is_refused(tmp_path):
    """HDF5 stores no part of what was never written: a few kilobytes say that they are terabytes."""

    def huge(layer) -> None:
        layer.create_dataset("kernel:0", (1 << 20, 1 << 20), np.float32, chunks=(1024, 1024), compression="gzip")

    path = write_keras(tmp_path / "huge.h5", huge)
    assert path.stat().st_size < 100_000
    with within_bounds(), pytest.raises(InputError, match="times its size"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["model.weights.h5", "../model.weights.h5", "/tmp/model.weights.h5"])
def test_archives_write_nothing_and_unpack_to_little(name, tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(60_000_000))
    before = set(tmp_path.parent.rglob("*"))
    with within_bounds(), pytest.raises(InputError, match=r"bomb\.keras: "):
        read_tensors(path)
    assert set(tmp_path.parent.rglob("*")) == before


# Models


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_links_out_of_a_model_are_not_followed(name, tmp_path):
    shutil.copytree(shipped_folder("small"), tmp_path / "model")
    (tmp_path / "model" / name).rename(tmp_path / name)
    (tmp_path / "model" / name).symlink_to(tmp_path / name)
    with pytest.raises(InputError, match="is a link"):
        PathosNet.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    "nest", ["[" * 10**6, '{"a":' * 10**6, '{"labels": ' + "[" * 10**5 + "]" * 10**5 + "}", "9" * 10**6]
)
def test_json_that_nests_without_end_is_one_line(nest, tmp_path, capsys):
    shutil.copytree(shipped_folder("small"), tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(nest)
    with within_bounds():
        error_of(capsys, "predict", tmp_path / "model", write_tone(tmp_path / "a.wav"))


# Recordings


def test_small_files_of_many_hours_take_no_gigabytes(tmp_path):
    """FLAC holds silence in next to nothing: a megabyte for each ten hours."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1, subtype="PCM_16") as file:
        for _ in range(3):
            file.write(np.zeros(8_000 * 3_600, np.int16))
    assert path.stat().st_size < 20_000_000
    with within_bounds(), pytest.raises(InputError, match=r"long\.flac: .*--timeline"):
        read_recording(path)


def test_playlists_are_not_followed(tmp_path):
    secret = write_tone(tmp_path / "secret.wav")
    for name, content in {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile {secret}\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    }.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="cannot be read as audio"):
            read_recording(tmp_path / name)


# Terminals and browsers


def test_what_steers_a_terminal_is_printed_as_an_escape(tmp_path, capsys):
    write_tone(tmp_path / f"good{ATTACK}.wav", 0.6)
    (tmp_path / f"bad{ATTACK}.wav").write_text("no sound")
    (tmp_path / f"note{ATTACK}.txt").touch()
    with pytest.raises(SystemExit):
        cli.main(["predict", "small", str(tmp_path)])
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202etxt" in text
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    with pytest.raises(SystemExit):
        cli.main(["predict", "small", str(tmp_path / ATTACK)])
    assert "\x1b" not in capsys.readouterr().err


def test_letters_of_every_script_are_printed_as_they_are():
    text = "perché e\u0301 שלום नमस्ते می\u200cخواهم 👩\u200d👧 日本\tx\ny"
    assert printable(text) == text


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    predictions = make_predictions({(SCRIPT, SCRIPT): "hasn"}, per_group=24, text=SCRIPT)
    leaks = [SCRIPT] * 3
    report = CrossValidationReport(predictions, leaks, leaks, {}, {SCRIPT: SCRIPT}, {SCRIPT: SCRIPT}, command=SCRIPT)
    write_evaluation(folder, report)
    return folder / "report.html"


def test_markup_in_a_report_is_text(page):
    content = page.read_text()
    assert "&lt;script&gt;" in content
    assert "<script" not in content
    assert "<img src=x" not in content


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_runs_nothing_of_a_report(page, tmp_path):
    """A page with the same script, not escaped, shows that the browser would run it."""
    (tmp_path / "evil.html").write_text(f"<title>safe</title>{SCRIPT}")
    assert "<title>owned</title>" in rendered(tmp_path / "evil.html", tmp_path)
    found = rendered(page, tmp_path)
    assert "<title>owned</title>" not in found
    assert "<title>Cross-validation: &lt;script&gt;" in found


def rendered(page: Path, folder: Path) -> str:
    """The page as a browser has it after its scripts."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", "--dump-dom"]
    return subprocess.run([CHROMIUM, *options, page.as_uri()], capture_output=True, text=True, timeout=120).stdout


def test_markup_in_a_card_is_text(tmp_path):
    nasty = SCRIPT + "\n---\n# owned\n| x | y |\n[click](javascript:alert(1))"
    facts = Facts((CorpusFacts(nasty, (nasty,), {nasty: 1}, 1, nasty, nasty),), {"strategy": nasty}, vectors=(nasty,))
    model = PathosNet.from_pretrained("small")
    model.facts = facts
    model.save_pretrained(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    body = card.split("\n---\n", 1)[1]
    assert "<script" not in body
    assert "\n# owned" not in body
    assert "[click](" not in body


def test_names_that_are_no_text_are_written(tmp_path, capsys):
    """File names may hold bytes that are no UTF-8."""
    name = os.fsdecode(b"caf\xe9.wav")
    with (tmp_path / name).open("wb") as file:
        soundfile.write(file, tone(0.6), 16_000, format="WAV")
    for out in ("out.csv", "out.jsonl"):
        cli.main(["predict", "small", str(tmp_path / name), "--out", str(tmp_path / out)])
        capsys.readouterr()
        assert r"caf\udce9.wav" in (tmp_path / out).read_text(encoding="utf-8")
    cli.main(["predict", "small", str(tmp_path / name), "--json"])
    assert json.loads(capsys.readouterr().out)["label"]
