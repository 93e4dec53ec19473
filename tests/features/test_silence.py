import pytest
import torch

from pathosnet.features import non_silent_intervals
from pathosnet.features.acoustic.silence import remove_silence


def test_a_click_is_heard_in_every_frame_that_holds_it() -> None:
    # Frames of 2048 samples are centered at 0, 512, 1024, …: the click at 5000 lies in those centered at 4096 to 5632
    # (centre − 1024 ≤ 5000 < centre + 1024), which are the hops 8 to 11.
    waveform = torch.zeros(10_000)
    waveform[5000] = 1.0
    assert non_silent_intervals(waveform).tolist() == [[8 * 512, 12 * 512]]


def test_the_last_interval_ends_with_the_waveform() -> None:
    waveform = torch.zeros(10_000)
    waveform[-1] = 1.0
    assert non_silent_intervals(waveform).tolist() == [[18 * 512, 10_000]]


def test_two_clicks_far_apart_are_two_intervals_that_are_joined() -> None:
    waveform = torch.zeros(30_000)
    waveform[5000], waveform[20_000] = 1.0, -1.0
    assert non_silent_intervals(waveform).tolist() == [[8 * 512, 12 * 512], [38 * 512, 42 * 512]]
    joined = remove_silence(waveform)
    assert len(joined) == 8 * 512
    assert joined.nonzero().flatten().tolist() == [5000 - 8 * 512, 4 * 512 + 20_000 - 38 * 512]


@pytest.mark.parametrize(("level_db", "num_intervals"), [(-19.5, 2), (-20.5, 1)])
def test_the_threshold_is_below_the_loudest_frame(level_db: float, num_intervals: int) -> None:
    waveform = torch.zeros(30_000)
    waveform[5000], waveform[20_000] = 1.0, 10 ** (level_db / 20)
    assert len(non_silent_intervals(waveform, top_db=20.0)) == num_intervals


def test_loudness_as_a_whole_does_not_matter() -> None:
    waveform = torch.randn(20_000) * torch.linspace(0, 1, 20_000) ** 4
    intervals = non_silent_intervals(waveform)
    assert torch.equal(non_silent_intervals(0.01 * waveform), intervals)
    assert intervals[0, 0] > 0


def test_where_nothing_is_louder_than_the_rest_nothing_is_removed() -> None:
    assert non_silent_intervals(torch.zeros(5000)).tolist() == [[0, 5000]]
    assert torch.equal(remove_silence(torch.full((5000,), 0.5)), torch.full((5000,), 0.5))


def test_no_samples_stay_no_samples() -> None:
    assert remove_silence(torch.zeros(0)).shape == (0,)


def test_intervals_are_in_order_and_within_the_waveform() -> None:
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        waveform = torch.randn(30_000, generator=generator) * (
            torch.rand(30, generator=generator) > 0.7
        ).repeat_interleave(1000)
        intervals = non_silent_intervals(waveform)
        flat = intervals.flatten()
        assert (flat.diff() > 0).all()
        assert flat[0] >= 0
        assert flat[-1] <= len(waveform)
        assert len(remove_silence(waveform)) == (intervals[:, 1] - intervals[:, 0]).sum()


@pytest.mark.parametrize("num_samples", [0, 1, 512, 1024, 1025, 20_000])
def test_a_recording_in_pieces_has_the_same_intervals(monkeypatch: pytest.MonkeyPatch, num_samples: int) -> None:
    waveform = torch.randn(num_samples) * torch.linspace(0, 1, num_samples) ** 4
    intervals = non_silent_intervals(waveform)
    monkeypatch.setattr("pathosnet.features.acoustic.silence.SAMPLES_AT_ONCE", 1024)
    assert torch.equal(non_silent_intervals(waveform), intervals)
