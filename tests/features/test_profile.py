from dataclasses import replace

import pytest
import torch

from pathosnet.errors import InputError
from pathosnet.features.profile import Profile, adapt_table, shrunk_offset
from pathosnet.features.table import FeatureTable
from pathosnet.training.adaptation import COUNTS, ProfileDraws


def recordings(*lengths: int, dim: int = 3) -> list[dict[str, torch.Tensor]]:
    return [{"a": torch.randn(length, dim), "b": torch.randn(length, dim)} for length in lengths]


def test_a_profile_averages_recordings_not_frames():
    long, short = {"a": torch.zeros(9, 1)}, {"a": torch.ones(1, 1)}
    profile = Profile.of([long, short])
    assert profile.num_recordings == 2
    assert profile.means["a"] == pytest.approx([0.5])


def test_recordings_without_frames_do_not_count():
    assert Profile.of([*recordings(4), {"a": torch.zeros(0, 3), "b": torch.zeros(0, 3)}]).num_recordings == 1
    with pytest.raises(InputError, match="expected at least one recording"):
        Profile.of([{"a": torch.zeros(0, 3)}])


def test_joined_profiles_are_those_of_all_recordings():
    heard = recordings(3, 5, 2, 7)
    joined, whole = Profile.of(heard[:1]) + Profile.of(heard[1:]), Profile.of(heard)
    assert joined.num_recordings == whole.num_recordings == 4
    assert torch.allclose(joined.means["b"], whole.means["b"], atol=1e-6)
    with pytest.raises(InputError, match="two profiles of one model"):
        Profile.of(heard, "one") + Profile.of(heard, "other")


def test_offsets_shrink_towards_the_training_part():
    center, mean = torch.tensor([1.0]), torch.tensor([5.0])
    for count, expected in ((1, 1.0), (3, 2.0), (9, 3.0)):
        assert Profile({"a": mean}, count).offsets({"a": center})["a"] == pytest.approx([expected])


def test_a_saved_profile_is_the_same(tmp_path):
    profile = Profile.of(recordings(3, 4), "model")
    profile.save(tmp_path / "anna.safetensors")
    read = Profile.load(tmp_path / "anna.safetensors")
    assert (read.num_recordings, read.made_by) == (2, "model")
    assert all(torch.equal(read.means[name], profile.means[name]) for name in ("a", "b"))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\xff" * 100])
def test_files_that_are_no_profiles_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.safetensors: expected a profile"):
        Profile.load(path)
    with pytest.raises(InputError, match="expected a profile"):
        Profile.load(tmp_path / "absent.safetensors")


def test_profiles_with_impossible_numbers_are_refused(tmp_path):
    for damaged in (Profile({"a": torch.tensor([float("nan")])}, 1), Profile({"a": torch.ones(1)}, 0)):
        damaged.save(tmp_path / "x.safetensors")
        with pytest.raises(InputError, match="damaged"):
            Profile.load(tmp_path / "x.safetensors")


def table(groups: tuple[str, ...]) -> FeatureTable:
    sequences = {"a": [torch.randn(2 + i, 3) + 10 * i for i in range(len(groups))]}
    return FeatureTable(sequences, torch.zeros(len(groups), dtype=torch.int64), groups=groups)


def test_a_table_is_adapted_to_all_recordings_of_each_group():
    given, center = table(("x", "y", "x")), torch.tensor([1.0, 2.0, 3.0])
    adapted = adapt_table(given, {"a": center})
    profile = Profile.of([{"a": given.sequences["a"][i]} for i in (0, 2)])
    offset = profile.offsets({"a": center})["a"]
    assert torch.allclose(adapted.sequences["a"][2], given.sequences["a"][2] - offset, atol=1e-5)
    nobody = replace(given, groups=())
    assert adapt_table(nobody, {"a": center}) is nobody


def test_empty_recordings_neither_adapt_nor_break():
    given = table(("x", "x"))
    given.sequences["a"][0] = torch.zeros(0, 3)
    adapted = adapt_table(given, {"a": torch.zeros(3)})
    assert adapted.sequences["a"][0].shape == (0, 3)
    assert adapted.sequences["a"][1].isfinite().all()


def test_draws_depend_on_seed_epoch_and_utterance_alone():
    given, centers = table(("x",) * 8 + ("y",)), {"a": torch.zeros(3)}
    one, same, other = (ProfileDraws(given, centers, seed) for seed in (0, 0, 1))
    drawn = [[draws.draw(i, epoch)["a"] for i in range(9) for epoch in range(6)] for draws in (one, same, other)]
    assert all(map(torch.equal, drawn[0], drawn[1]))
    assert not all(map(torch.equal, drawn[0], drawn[2]))
    assert all(torch.equal(offset, torch.zeros(3)) for offset in drawn[0][-6:]), "y has no other recording"


def test_every_size_of_profile_is_drawn_from_other_recordings():
    given = table(("x",) * 30)
    draws = ProfileDraws(given, {"a": torch.zeros(3)}, seed=0)
    means = torch.stack([sequence.mean(dim=0) for sequence in given.sequences["a"]])
    every = shrunk_offset(means[1:], torch.zeros(3))
    drawn = [draws.draw(0, epoch)["a"] for epoch in range(200)]
    shares = [
        float(torch.stack([torch.allclose(one, of) * torch.ones(()) for one in drawn]).mean())
        for of in (every, torch.zeros(3))
    ]
    assert shares == pytest.approx([1 / len(COUNTS)] * 2, abs=0.08)
