"""Files that are odd, damaged or of a format that libsndfile does not know."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from making import random_model, tone

from pathosnet.audio import ffmpeg
from pathosnet.audio.decoding import audio_suffixes
from pathosnet.audio.reading import load_audio, read_blocks, read_recording
from pathosnet.errors import InputError
from pathosnet.prediction.inputs import PredictionInput, predict_inputs

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
SPEECH = tone(2.0) + tone(2.0, 1000.0, amplitude=0.1)


def error_of(path: Path) -> str:
    """What is said of a file that cannot be read: one line that names it, as a whole and in blocks."""
    with pytest.raises(InputError) as caught:
        load_audio(path)
    with pytest.raises(InputError) as in_blocks:
        list(read_blocks(path))
    message = str(caught.value)
    assert str(in_blocks.value) == message
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def assert_read_in_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_audio(path).numpy()
    monkeypatch.setattr("pathosnet.audio.decoding.BLOCK_SAMPLES", 3000)
    blocks = [block.numpy() for block in read_blocks(path)]
    assert len(blocks) > 3
    assert np.array_equal(np.concatenate(blocks), whole)


# Headers that say little


def test_flac_of_unknown_length_is_read_to_its_end(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "known.flac", SPEECH, 16_000)
    content = bytearray((tmp_path / "known.flac").read_bytes())
    content[21] &= (
        0xF0  # the number of samples, 36 bits, and the checksum, as an encoder that writes to a pipe leaves them
    )
    content[22:42] = bytes(20)
    (tmp_path / "pipe.flac").write_bytes(content)
    assert np.array_equal(load_audio(tmp_path / "pipe.flac"), load_audio(tmp_path / "known.flac"))
    assert_read_in_blocks(tmp_path / "pipe.flac", monkeypatch)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW"])
@pytest.mark.parametrize(
    ("riff", "data"), [(0, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFDB)]
)
def test_wav_whose_recorder_was_cut_off_is_read_to_its_end(tmp_path, monkeypatch, subtype, riff, data):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.stack([SPEECH, 0.5 * SPEECH], axis=1), 22_050, subtype=subtype)
    closed = load_audio(path)
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", riff)
    size = content.index(b"data") + 4
    content[size : size + 4] = struct.pack("<I", data)
    path.write_bytes(content)
    assert np.array_equal(load_audio(path), closed)
    assert_read_in_blocks(path, monkeypatch)


def test_wav_that_is_closed_and_holds_no_samples_stays_an_error(tmp_path):
    content = b"RIFF" + struct.pack("<I", 4 + 24 + 8 + 8 + 2000) + b"WAVEfmt " + struct.pack("<I", 16)
    content += struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16) + b"data" + bytes(4)
    content += b"LIST" + struct.pack("<I", 2000) + bytes(2000)
    (tmp_path / "clip.wav").write_bytes(content)
    assert error_of(tmp_path / "clip.wav").startswith("holds 0 samples at 16000 Hz, expected at least 25 ms")


@pytest.mark.parametrize("suffix", [".raw", ".RAW"])
def test_samples_without_a_header_are_refused(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    path.write_bytes((SPEECH * 32767).astype("<i2").tobytes())
    assert error_of(path).startswith("has no header, so that its rate, depth and channels are unknown; convert it")


# Damage


@pytest.fixture
def damaged_ogg(tmp_path) -> Path:
    """An Ogg of which a page in the middle has a wrong bit, and is left out by the decoder."""
    path = tmp_path / "damaged.ogg"
    noise = np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32)
    soundfile.write(path, noise, 16_000, format="OGG", subtype="VORBIS")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    return path


def test_nothing_of_a_damaged_ogg_is_heard_twice(damaged_ogg, monkeypatch):
    with soundfile.SoundFile(damaged_ogg) as file:
        one_pass, claimed = file.read(64_000, dtype="float32"), file.frames
    assert len(one_pass) < claimed == 64_000, "the damage costs something"
    assert np.array_equal(load_audio(damaged_ogg), one_pass)
    assert_read_in_blocks(damaged_ogg, monkeypatch)


@pytest.mark.parametrize(
    "raised", [TypeError("what?"), ValueError(""), MemoryError(), OSError("disk on fire"), Exception]
)
def test_whatever_a_decoder_raises_names_the_file_and_stops_no_other(tmp_path, monkeypatch, raised):
    for name in ("good.wav", "bad.wav"):
        soundfile.write(tmp_path / name, SPEECH, 16_000)
    read = soundfile.SoundFile.read

    def read_or_raise(file, *args, **kwargs):
        if "bad" in str(file.name):
            raise raised
        return read(file, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", read_or_raise)
    assert error_of(tmp_path / "bad.wav").startswith("cannot be read as audio (")
    inputs = [PredictionInput(tmp_path / name) for name in ("bad.wav", "good.wav")]
    (_, bad), (_, good) = predict_inputs(random_model(text=False), inputs, progress=False)
    assert isinstance(bad, InputError)
    assert good.label


# Paths


def test_a_name_that_is_too_long_is_said():
    assert error_of(Path("x" * 300 + ".wav")) == "cannot be opened (File name too long)"


def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    path = tmp_path / "locked.wav"
    soundfile.write(path, SPEECH, 16_000)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read all

        def refuse(*_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refuse)
    assert error_of(path) == "cannot be opened (Permission denied)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "clip.wav")
    assert error_of(tmp_path / "clip.wav") == "is a device or a pipe, expected an audio file"


# ffmpeg


FAKE = """#!{python}
import struct, sys
open({log!r}, "w").write("\\n".join(sys.argv[1:]))
sys.stderr.write({errors!r} * {repeat})
sys.stdout.buffer.write({output!r} * {times})
sys.exit({code})
"""


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Puts a program called ffmpeg on the PATH that writes what it is told to."""
    if sys.platform == "win32":
        pytest.skip("a script is no program here")

    def make(output: bytes = b"", errors: str = "", code: int = 0, repeat: int = 1, times: int = 1) -> Path:
        folder, log = tmp_path / "bin", tmp_path / "arguments.txt"
        folder.mkdir(exist_ok=True)
        program = folder / "ffmpeg"
        values = {"log": str(log), "errors": errors, "output": output, "code": code, "repeat": repeat, "times": times}
        program.write_text(FAKE.format(python=sys.executable, **values))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return log

    return make


def au(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """A file of Sun's AU as ffmpeg writes it to a pipe, ``samples``: ``(samples, channels)``."""
    header = struct.pack(">4s5I", b".snd", 32, 0xFFFFFFFF, 6, rate, samples.shape[1])
    return header + bytes(8) + samples.astype(">f4").tobytes()


@pytest.fixture
def unknown(tmp_path) -> Path:
    """A file that libsndfile does not know."""
    path = tmp_path / "clip.m4a"
    path.write_bytes(b"\x00\x00\x00\x1cftypM4A " + bytes(1000))
    return path


def test_without_ffmpeg_the_message_says_what_to_install(unknown, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert error_of(unknown).endswith(
        "m4a, webm and videos need the program ffmpeg on the PATH; install it, or convert it to WAV"
    )
    assert ".m4a" not in audio_suffixes()


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_what_ffmpeg_decodes_is_read_as_a_wav_is(unknown, fake_ffmpeg, tmp_path, monkeypatch, rate):
    samples = np.stack([SPEECH, 0.5 * SPEECH], axis=1)
    soundfile.write(tmp_path / "clip.wav", samples, rate, subtype="FLOAT")
    fake_ffmpeg(au(samples, rate))
    assert np.array_equal(load_audio(unknown), load_audio(tmp_path / "clip.wav"))
    assert read_recording(unknown).warnings == ()
    assert_read_in_blocks(unknown, monkeypatch)
    assert {".m4a", ".webm", ".mp4"} <= audio_suffixes()


@pytest.mark.parametrize(
    "name", ["-i", "-y", "concat:a.wav|b.wav", "http:x.m4a", "pipe:0", "a b;rm -rf $HOME.m4a", "%d.m4a"]
)
def test_a_name_is_nothing_but_a_file_to_ffmpeg(unknown, fake_ffmpeg, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    unknown.rename(name)
    log = fake_ffmpeg(au(SPEECH[:, None]))
    assert len(load_audio(name)) == len(SPEECH)
    arguments = log.read_text().split("\n")
    given = arguments.index("-i") + 1
    assert arguments[given] == f"file:{name}"
    for option, value in (("-protocol_whitelist", "file,pipe"), ("-format_whitelist", ffmpeg.FORMATS)):
        assert arguments[arguments.index(option) + 1] == value
        assert arguments.index(option) < given, "options after the file are the output's"
    assert not {"hls", "concat", "dash", "tty", "image2", "lavfi", "sdp"} & set(ffmpeg.FORMATS.split(","))
    assert "-nostdin" in arguments


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"code": 1, "errors": "[mov,mp4 @ 0x5] moov atom not found\nInvalid data\n"}, "ffmpeg: moov atom not found"),
        ({"code": 1, "errors": "Stream map '0:a:0' matches no streams.\nDon't.\n"}, "ffmpeg: there is no sound in it"),
        ({"code": 1}, "ffmpeg: it failed without a message"),
        ({"code": 0}, "ffmpeg: there is no sound in it"),
        ({"code": 69, "output": au(SPEECH[:, None]), "errors": "Too many errors\n"}, "ffmpeg: Too many errors"),
        ({"code": 1, "errors": "x" * 100, "repeat": 100_000}, "ffmpeg: xxx"),
    ],
)
def test_why_ffmpeg_failed_is_said_in_one_short_line(unknown, fake_ffmpeg, told, reason):
    fake_ffmpeg(**told)
    message = error_of(unknown)
    assert reason in message
    assert len(message) < 2000


def test_ffmpeg_is_stopped_when_nobody_reads_on(unknown, fake_ffmpeg):
    fake_ffmpeg(au(np.zeros((1 << 20, 1))), times=1000)
    blocks = read_blocks(unknown)
    next(blocks)
    blocks.close()  # returns, though the program has gigabytes to say


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.m4a", []),
        ("clip.webm", ["-ar", "48000"]),
        ("clip.mp4", []),
        ("clip.mov", ["-ar", "44100"]),
        ("clip.mkv", ["-c:a", "pcm_s16le"]),
    ],
)
def test_sound_of_recordings_and_videos_is_heard(tmp_path, name, options):
    soundfile.write(tmp_path / "clip.wav", SPEECH, 16_000)
    picture = [] if name.endswith("a") else ["-f", "lavfi", "-i", "testsrc=duration=2:size=32x32:rate=5"]
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "clip.wav", *picture, *options, tmp_path / name]
    subprocess.run(command, check=True)
    waveform = load_audio(tmp_path / name).numpy()
    assert len(waveform) == pytest.approx(32_000, abs=3000)  # encoders pad
    spectrum = np.abs(np.fft.rfft(waveform[4000:20_000] * np.hanning(16_000)))
    assert sorted(np.argsort(spectrum)[[-1]]) == [300]
    assert np.abs(waveform).max() == pytest.approx(np.abs(SPEECH).max(), rel=0.2)


@needs_ffmpeg
def test_a_playlist_opens_no_other_file(tmp_path):
    soundfile.write(tmp_path / "secret.wav", SPEECH, 16_000)
    (tmp_path / "list.m4a").write_text("ffconcat version 1.0\nfile secret.wav\n")
    (tmp_path / "stream.m4a").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n")
    for name in ("list.m4a", "stream.m4a"):
        assert error_of(tmp_path / name).startswith("cannot be read as audio (")


@needs_ffmpeg
@pytest.mark.parametrize("content", [b"a text\n" * 500, np.random.default_rng(0).bytes(20_000)], ids=["text", "noise"])
def test_what_is_no_recording_stays_an_error_with_ffmpeg(tmp_path, content):
    (tmp_path / "clip.m4a").write_bytes(content)
    assert error_of(tmp_path / "clip.m4a").startswith("cannot be read as audio (")


@needs_ffmpeg
def test_a_video_without_sound_is_said(tmp_path):
    source = ["-f", "lavfi", "-i", "testsrc=duration=1:size=32x32:rate=5"]
    subprocess.run(["ffmpeg", "-v", "error", *source, tmp_path / "clip.mp4"], check=True)
    assert "there is no sound in it" in error_of(tmp_path / "clip.mp4")
