"""Recordings in every container that people send, whole and damaged byte by byte, and against other decoders."""

import io
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cases import cases, check_answer, check_message, within_bounds
from hypothesis import given
from hypothesis import strategies as st
from making import tone

from pathosnet.audio import ffmpeg
from pathosnet.audio.reading import load_audio, read_recording
from pathosnet.errors import InputError

WAV = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")
OTHERS = (
    *(("WAVEX", "PCM_16"), ("RF64", "PCM_24"), ("W64", "PCM_16"), ("CAF", "PCM_16"), ("CAF", "ALAC_16")),
    *(("AIFF", "PCM_16"), ("AIFF", "PCM_S8"), ("AU", "FLOAT"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")),
    *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16"), ("VOC", "PCM_16")),
    *(("SVX", "PCM_16"), ("AVR", "PCM_16"), ("IRCAM", "FLOAT"), ("MAT5", "PCM_16"), ("PAF", "PCM_16")),
)
KINDS = (*(("WAV", subtype) for subtype in WAV), *OTHERS)
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0", b"\0\0\0\1")


def encoded(kind: tuple[str, str], seconds: float = 0.5, channels: int = 1) -> bytes:
    """A buzz in a container."""
    rate = 8_000 if kind[1] == "GSM610" else 16_000
    wave = tone(seconds, 220.0, rate) + tone(seconds, 1330.0, rate) * 0.3
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, 1), rate, format=kind[0], subtype=kind[1])
    return file.getvalue()


WHOLE = {kind: encoded(kind) for kind in KINDS if soundfile.check_format(*kind)}


@st.composite
def damaged(draw):
    """A recording of which bytes were changed, cut out, put in or cut off; most often in its header."""
    kind = draw(st.sampled_from(sorted(WHOLE)))
    content = bytearray(WHOLE[kind])
    for _ in range(draw(st.integers(1, 4))):
        end = draw(st.sampled_from((64, 64, 256, len(content)))) if content else 0
        at = draw(st.integers(0, max(0, min(end, len(content)) - 1)))
        how = draw(st.sampled_from(("flip", "extreme", "cut off", "cut out", "put in", "repeat", "zero")))
        if how == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "extreme":
            content[at : at + 4] = draw(st.sampled_from(EXTREMES))
        elif how == "cut off":
            del content[draw(st.integers(0, len(content))) :]
        elif how == "cut out":
            del content[at : at + draw(st.integers(1, 600))]
        elif how == "put in":
            content[at:at] = draw(st.binary(min_size=1, max_size=40))
        elif how == "repeat":
            content[at:at] = content[at : at + draw(st.integers(1, 2000))]
        else:
            content[at : at + 16] = bytes(len(content[at : at + 16]))
    return kind, bytes(content)


@pytest.fixture
def no_ffmpeg(monkeypatch):
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: None)


def read_or_refuse(path: Path, small) -> None:
    with within_bounds():
        try:
            recording = read_recording(path)
        except InputError as error:
            check_message(str(error), str(path))
            return
        assert recording.waveform.isfinite().all()
        check_answer(small.predict(recording))


@pytest.mark.parametrize("kind", sorted(WHOLE), ids="-".join)
def test_every_container_is_heard_whole(kind, tmp_path, small):
    path = tmp_path / "clip.wav"  # whatever it is called
    path.write_bytes(WHOLE[kind])
    waveform = load_audio(path)
    assert abs(len(waveform) - 8_000) < 1_300  # lossy ones pad
    assert 0.1 < waveform.abs().max() < 1.0
    check_answer(small.predict(path))


@cases(80)
@given(damaged())
def test_damaged_recordings_are_heard_or_refused(tmp_path_factory, small, case):
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(case[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ffmpeg, "find_ffmpeg", lambda: None)
        read_or_refuse(path, small)


@pytest.mark.skipif(ffmpeg.find_ffmpeg() is None, reason="needs ffmpeg")
@cases(6, many=1_000)
@given(damaged())
def test_damaged_recordings_are_heard_or_refused_by_ffmpeg(tmp_path_factory, small, case):
    """With ffmpeg at hand, which starts for what libsndfile refuses."""
    path = tmp_path_factory.getbasetemp() / "damaged for ffmpeg.wav"
    path.write_bytes(case[1])
    read_or_refuse(path, small)


@cases(60)
@given(st.binary(max_size=3_000))
def test_bytes_that_are_no_recording_are_refused_or_heard(tmp_path_factory, small, content):
    path = tmp_path_factory.getbasetemp() / "bytes.wav"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ffmpeg, "find_ffmpeg", lambda: None)
        read_or_refuse(path, small)


@st.composite
def odd_headers(draw):
    """A WAV whose header says anything about rate, channels, bits, block size and length."""
    number = st.one_of(
        st.integers(0, 20), st.sampled_from((1, 2, 3, 6, 7, 8, 16, 24, 32, 64, 255, 1024, 0xFFFE, 0xFFFF))
    )
    rate = draw(st.one_of(st.sampled_from((0, 1, 999, 1000, 16_000, 384_000, 2**31, 2**32 - 1)), st.integers(0, 10**6)))
    size = draw(st.sampled_from((0, 1, 16_000, 2**31, 2**32 - 1)))
    form = struct.pack(
        "<HHIIHH",
        draw(st.sampled_from((1, 1, 3, 6, 7, 0x11, 0xFFFE, 0x55, 0))),
        draw(number),
        rate,
        draw(st.integers(0, 2**32 - 1)),
        draw(number),
        draw(number),
    )
    junk = draw(
        st.sampled_from((b"", b"JUNK" + struct.pack("<I", 7) + bytes(8), b"LIST" + struct.pack("<I", 2**32 - 1)))
    )
    head = junk + b"fmt " + struct.pack("<I", draw(st.sampled_from((16, 16, 18, 40, 0, 2**32 - 1)))) + form
    samples = draw(st.binary(min_size=100, max_size=100)) * draw(st.integers(0, 300))
    return (
        b"RIFF"
        + struct.pack("<I", draw(st.sampled_from((0, 36, 2**32 - 1))))
        + b"WAVE"
        + head
        + b"data"
        + struct.pack("<I", size)
        + samples
    )


@cases(80)
@given(odd_headers())
def test_odd_headers_are_heard_or_refused(tmp_path_factory, small, content):
    path = tmp_path_factory.getbasetemp() / "header.wav"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ffmpeg, "find_ffmpeg", lambda: None)
        read_or_refuse(path, small)


LOSSLESS = sorted(kind for kind in WHOLE if kind[1] not in ("VORBIS", "OPUS", "MPEG_LAYER_III"))


@pytest.mark.skipif(ffmpeg.find_ffmpeg() is None, reason="needs ffmpeg")
@cases(6, many=1_000)
@given(
    st.sampled_from([k for k in LOSSLESS if k[0] in ("WAV", "WAVEX", "AIFF", "AU", "CAF", "FLAC", "W64", "RF64")]),
    st.integers(1, 2),
    st.floats(0.05, 1.0),
)
def test_files_sound_as_ffmpeg_decodes_them(tmp_path_factory, kind, channels, seconds):
    if kind[1] in ("GSM610", "IMA_ADPCM", "MS_ADPCM"):
        channels = 1
    path = tmp_path_factory.getbasetemp() / f"ours.{kind[0].lower()}"
    path.write_bytes(encoded(kind, seconds, channels))
    ours = load_audio(path, 8_000 if kind[1] == "GSM610" else 16_000).numpy()
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"]
    decoded = subprocess.run(command, capture_output=True, check=True).stdout
    theirs = np.frombuffer(decoded, "<f4").reshape(-1, channels).mean(1)
    length = min(len(ours), len(theirs))  # codecs of blocks: ffmpeg gives the last one whole
    assert abs(len(ours) - len(theirs)) < 2_100
    assert np.abs(ours[:length] - theirs[:length]).max() < (0.02 if "ADPCM" in kind[1] or "GSM" in kind[1] else 2e-4)


@cases(50)
@given(st.sampled_from(sorted(WHOLE)), st.integers(1, 7), st.integers(4_000, 48_000), st.integers(200, 4_000))
def test_files_sound_as_libsndfile_decodes_them(tmp_path_factory, kind, channels, rate, samples):
    """Block by block as at once, whatever the rate: one channel after another through libsndfile alone."""
    if kind[1] in ("OPUS", "GSM610") or kind[0] in ("MP3", "AVR", "SVX", "NIST", "MAT5", "VOC", "PAF", "IRCAM"):
        channels, rate = 1, 16_000 if kind[1] != "GSM610" else 8_000
    if "ADPCM" in kind[1]:
        channels = min(channels, 2)
    samples = max(samples, rate // 30)
    path = tmp_path_factory.getbasetemp() / "theirs.bin"
    wave = np.random.default_rng(samples).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, wave, rate, format=kind[0], subtype=kind[1])
    ours = load_audio(path, rate).numpy()
    theirs = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(1)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-6
