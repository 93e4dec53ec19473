import os
import sys
import types

import numpy as np
import pytest
import soundfile
import torch

from pathosnet.audio.live import open_microphone, open_pipe
from pathosnet.audio.raw import Raw
from pathosnet.audio.reading import Incoming, load_audio
from pathosnet.errors import InputError


def recording(rng, rate=44_100, channels=2, seconds=1.3):
    return rng.integers(-(2**14), 2**14, (round(seconds * rate), channels)).astype(np.int16)


def cut(samples, rng):
    """Chunks of 0 to 3000 samples."""
    places = np.cumsum(rng.integers(0, 3000, 2 * len(samples) // 1500))
    return np.split(samples, places[places < len(samples)])


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (16_000, 1), (8000, 3)])
def test_chunks_become_the_waveform_of_the_file(tmp_path, rng, rate, channels):
    samples = recording(rng, rate, channels)
    soundfile.write(tmp_path / "a.wav", samples, rate)
    incoming = Incoming(rate)
    pieces = [*[incoming.add(chunk) for chunk in cut(samples, rng)], incoming.finish()]
    assert torch.equal(torch.cat(pieces), load_audio(tmp_path / "a.wav"))


@pytest.mark.parametrize("sizes", [[1, 1], [0, 2]])
def test_a_chunk_may_hold_one_sample_of_two_channels_or_none(sizes):
    incoming = Incoming(16_000)
    pieces = [incoming.add(np.full((size, 2), 0.25)) for size in sizes]
    assert torch.cat(pieces).tolist() == [0.25, 0.25]


def test_chunks_of_another_kind_are_refused():
    incoming = Incoming(16_000)
    incoming.add(np.zeros((10, 2)))
    with pytest.raises(InputError, match=r"expected chunks with 2 channels, like the first, got samples of shape \(10"):
        incoming.add(np.zeros(10))
    with pytest.raises(InputError, match="expected at most 64 channels"):
        Incoming(16_000).add(np.zeros((2, 1600)))
    with pytest.raises(InputError, match="NaN"):
        Incoming(16_000).add(np.array([np.nan]))
    with pytest.raises(InputError, match="expected a positive sample rate, got 0"):
        Incoming(0)


def piped(content, raw=Raw()):  # noqa: B008
    """What is heard through a pipe with this content: the rate and all samples."""
    end, begin = os.pipe()
    os.write(begin, content)  # fits into the pipe's buffer
    os.close(begin)
    with open_pipe(end, raw, name="pipe") as (rate, chunks):
        pieces = [chunk.samples for chunk in chunks]
    os.close(end)
    assert all(len(piece) <= rate / 10 for piece in pieces)
    return rate, np.concatenate(pieces)


def test_a_wav_through_a_pipe_is_what_it_is_as_a_file(tmp_path, rng):
    samples = recording(rng, 8000, 2, 1.0)
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    rate, heard = piped((tmp_path / "a.wav").read_bytes())
    assert rate == 8000
    assert np.array_equal(heard, samples / np.float32(2**15))


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("s16le", np.array([[16384, -32768]], "<i2").tobytes()),
        ("s24le", b"\x00\x00\x40\x00\x00\x80"),
        ("s32le", np.array([[2**30, -(2**31)]], "<i4").tobytes()),
        ("f32le", np.array([[0.5, -1.0]], "<f4").tobytes()),
    ],
)
def test_samples_without_a_header(encoding, content):
    rate, heard = piped(content, Raw(encoding, 22_050, 2))
    assert rate == 22_050
    assert heard.tolist() == [[0.5, -1.0]]


@pytest.mark.parametrize("content", [b"", b"0.1 0.2 0.3 0.4", bytes(5000)])
def test_what_has_no_header_is_an_error_that_says_how_to_go_on(content):
    with pytest.raises(InputError, match=r"^pipe: cannot be read as audio .*--encoding s16le --rate 16000"):
        piped(content)


def test_mistakes_about_samples_without_a_header():
    with pytest.raises(InputError, match="encoding: expected s16le, s24le, s32le, f32le, got 'mp3'"):
        Raw("mp3")
    with pytest.raises(InputError, match="channels: expected 1 or more, got 0"):
        Raw("s16le", channels=0)
    with pytest.raises(InputError, match="rate, channels: are for samples without a header"):
        Raw(rate=8000)


class FakeMicrophone(types.ModuleType):
    """As much of sounddevice as is called, with one microphone, which hears two chunks."""

    class PortAudioError(Exception):
        pass

    def __init__(self, names=("Built-in",)):
        super().__init__("sounddevice")
        self.names, self.done = names, []

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return [{"name": "Speakers", "max_input_channels": 0}] + [
                {"name": name, "max_input_channels": 1} for name in self.names
            ]
        if not self.names or device not in (None, 1, *self.names):
            raise ValueError(f"No input device matching {device!r}")
        return {"default_samplerate": 48_000.0}

    def InputStream(self, *, samplerate, device, callback, channels, dtype, blocksize):
        assert (samplerate, channels, dtype, blocksize) == (48_000, 1, "float32", 4800)

        def start():
            self.done.append("started")
            for lost in (False, True):
                samples = np.full((blocksize, 1), 0.5, np.float32)
                callback(samples, blocksize, None, types.SimpleNamespace(input_overflow=lost))
                samples[:] = 0  # the library takes its memory back

        return types.SimpleNamespace(start=start, close=lambda: self.done.append("closed"))


def test_the_microphone_is_on_only_while_somebody_listens(monkeypatch):
    fake = FakeMicrophone()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with open_microphone("1") as (rate, chunks):
        assert (rate, fake.done) == (48_000, [])
        first, second = next(chunks), next(chunks)
    assert fake.done == ["started", "closed"]
    assert (first.samples == 0.5).all()
    assert (first.lost, second.lost) == (False, True)


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (("Built-in", "USB"), "Headset", r"microphone 'Headset': cannot be opened .*; there are: 1 Built-in, 2 USB$"),
        ((), None, r"microphone: cannot be opened .*none is connected; name a file instead, or - for stdin"),
    ],
)
def test_without_the_microphone_that_was_meant_those_that_there_are_are_named(monkeypatch, names, asked, message):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(names))
    with pytest.raises(InputError, match=message), open_microphone(asked):
        pass


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"pip install 'pathosnet\[listen\]'"), open_microphone():
        pass


def test_without_portaudio_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(InputError, match=r"needs PortAudio .*apt install libportaudio2"), open_microphone():
        pass
