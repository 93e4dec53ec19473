import numpy as np
import pytest
import soundfile
import torch
from making import tone

from pathosnet.audio.reading import load_audio, read_blocks
from pathosnet.audio.resampling import resample, resample_blocks
from pathosnet.errors import InputError
from pathosnet.features.acoustic.silence import frame_power, loud_intervals, non_silent_intervals


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 11_111, 15_999, 22_050, 44_100, 48_000, 384_000])
@pytest.mark.parametrize("block", [1, 37, 1000, 20_000])
def test_resampling_in_blocks_has_no_seams(rate, block):
    """To the last bit."""
    num_samples = 5000 + 7 if block > 1 else 300
    waveform = torch.randn(num_samples)
    whole = resample(waveform, rate, 16_000)
    pieces = list(resample_blocks((piece.numpy() for piece in waveform.split(block)), rate, 16_000))
    assert len(whole) == -(-num_samples * 16_000 // rate)
    assert np.array_equal(np.concatenate(pieces), whole.numpy())


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_blocks_of_a_file_are_the_file(monkeypatch, tmp_path, rate):
    soundfile.write(tmp_path / "clip.flac", np.stack([tone(2.3, rate=rate), tone(2.3, 500, rate)], axis=1), rate)
    monkeypatch.setattr("pathosnet.audio.decoding.BLOCK_SAMPLES", 10_000)
    blocks = list(read_blocks(tmp_path / "clip.flac"))
    assert len(blocks) > 3
    assert max(map(len, blocks)) <= 10_000
    assert torch.equal(torch.cat(blocks), load_audio(tmp_path / "clip.flac"))
    monkeypatch.undo()
    assert torch.allclose(torch.cat(blocks), load_audio(tmp_path / "clip.flac"), atol=1e-6)


def test_a_bad_sample_is_found_in_its_block(monkeypatch, tmp_path):
    samples = tone(1.0)
    samples[12_000] = np.nan
    soundfile.write(tmp_path / "clip.wav", samples, 16_000, subtype="FLOAT")
    monkeypatch.setattr("pathosnet.audio.decoding.BLOCK_SAMPLES", 5000)
    blocks = read_blocks(tmp_path / "clip.wav")
    assert [len(next(blocks)), len(next(blocks))] == [5000, 5000]
    with pytest.raises(InputError, match=r"clip\.wav: holds NaN"):
        next(blocks)


@pytest.mark.parametrize("block", [1, 100, 512, 5000])
def test_silence_is_the_same_in_blocks(block):
    waveform = torch.randn(7000) * torch.linspace(0, 1, 7000) ** 4
    power, num_samples = frame_power(waveform.split(block))
    assert num_samples == 7000
    assert torch.equal(power, frame_power([waveform])[0])
    assert torch.equal(loud_intervals(power, num_samples), non_silent_intervals(waveform))
