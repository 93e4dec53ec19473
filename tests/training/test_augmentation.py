import pytest
import torch

from pathosnet.models import Inputs, pad_batch, with_zero_rows
from pathosnet.training.augmentation import drop_modality, hide_words, mask_features


def voice_and_text(batch: int, *voices: str) -> Inputs:
    """Sequences of 1 to 5 frames without a zero in them."""
    lengths = [1 + i % 5 for i in range(batch)]
    dims = {**dict.fromkeys(voices or ("logmel",), 3), "text": 2}
    return pad_batch({name: [torch.rand(n, dim) + 1 for n in lengths] for name, dim in dims.items()})


def lost(inputs: Inputs, name: str) -> torch.Tensor:
    """Which utterances have no frame."""
    return ~inputs.masks[name].any(dim=1)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.99])
def test_utterances_lose_text_or_voice_as_often_as_asked(probability):
    dropped = drop_modality(voice_and_text(8000), probability)
    voice, text = lost(dropped, "logmel"), lost(dropped, "text")
    assert (voice | text).float().mean().item() == pytest.approx(probability, abs=0.03)
    assert voice.float().mean().item() == pytest.approx(probability / 2, abs=0.03)
    assert text.float().mean().item() == pytest.approx(probability / 2, abs=0.03)


def test_no_utterance_loses_both():
    dropped = drop_modality(voice_and_text(5000), 0.99)
    assert not (lost(dropped, "logmel") & lost(dropped, "text")).any()


def test_all_voices_are_lost_together():
    dropped = drop_modality(voice_and_text(500, "logmel", "vggish"), 0.8)
    assert torch.equal(lost(dropped, "logmel"), lost(dropped, "vggish"))
    assert lost(dropped, "logmel").any()


def test_what_is_lost_is_as_if_it_had_been_missing():
    dropped = with_zero_rows(drop_modality(voice_and_text(200), 0.8))
    for name in ("logmel", "text"):
        gone = (dropped.features[name] == 0).flatten(1).all(dim=1)
        assert gone.any()
        assert (dropped.masks[name][gone].sum(dim=1) == 1).all()
        assert dropped.masks[name][gone, 0].all()


def test_what_is_not_lost_stays_as_it_is():
    inputs = voice_and_text(200)
    dropped = drop_modality(inputs, 0.8)
    for name in ("logmel", "text"):
        kept = ~lost(dropped, name)
        assert kept.any()
        assert torch.equal(dropped.features[name][kept], inputs.features[name][kept])
        assert torch.equal(dropped.masks[name][kept], inputs.masks[name][kept])


def test_given_inputs_are_not_changed():
    inputs = voice_and_text(50)
    features = {name: value.clone() for name, value in inputs.features.items()}
    masks = {name: value.clone() for name, value in inputs.masks.items()}
    drop_modality(inputs, 0.9)
    for name in ("logmel", "text"):
        assert torch.equal(inputs.features[name], features[name])
        assert torch.equal(inputs.masks[name], masks[name])


def test_maps_of_more_axes_can_be_lost():
    """What an unlocked layer reads has channels and two axes more."""
    inputs = pad_batch({"vggish": [torch.rand(2, 4, 3, 2) + 1] * 64, "text": [torch.rand(2, 3) + 1] * 64})
    dropped = drop_modality(inputs, 0.9)
    assert lost(dropped, "vggish").any()
    assert lost(dropped, "text").any()


# Masks over log-mel frames


def frames_and_mask(batch: int = 64, time: int = 50, bands: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.arange(batch) % (time - 9) + 10
    mask = torch.arange(time) < lengths.unsqueeze(1)
    return torch.randn(batch, time, bands) * mask.unsqueeze(2), mask


def test_hidden_values_are_the_utterances_mean_and_others_stay():
    frames, mask = frames_and_mask()
    masked = mask_features(frames, mask)
    changed = (masked != frames) & mask.unsqueeze(2)
    assert changed.any()
    for utterance in range(len(frames)):
        mean = frames[utterance][mask[utterance]].mean()
        assert torch.allclose(masked[utterance][changed[utterance]], mean, atol=1e-5)


def test_masks_are_whole_stretches_of_time_and_bands():
    frames, mask = frames_and_mask()
    changed = mask_features(frames, mask) != frames
    for utterance, length in enumerate(mask.sum(dim=1).tolist()):
        hidden = changed[utterance, :length]
        whole_time, whole_bands = hidden.all(dim=1), hidden.all(dim=0)
        assert torch.equal(hidden, whole_time.unsqueeze(1) | whole_bands.unsqueeze(0))


@pytest.mark.parametrize(("share", "max_bands", "num_masks"), [(0.2, 12, 2), (0.5, 3, 1), (0.1, 20, 3)])
def test_masks_are_no_larger_than_allowed(share, max_bands, num_masks):
    frames, mask = frames_and_mask()
    changed = mask_features(frames, mask, share, max_bands=max_bands, num_masks=num_masks) != frames
    most_time, most_bands = 0, 0
    for utterance, length in enumerate(mask.sum(dim=1).tolist()):
        hidden = changed[utterance, :length]
        time, bands = int(hidden.all(dim=1).sum()), int(hidden.all(dim=0).sum())
        assert time <= num_masks * int(share * length)
        assert bands <= num_masks * max_bands
        most_time, most_bands = max(most_time, time), max(most_bands, bands)
    assert most_time > 0
    assert most_bands > 0


def test_masks_differ_from_utterance_to_utterance():
    frames = torch.randn(1, 40, 64).expand(32, -1, -1)
    masked = mask_features(frames, torch.ones(32, 40, dtype=torch.bool))
    assert len({tuple((row != frames[0]).flatten().tolist()) for row in masked}) > 25


def test_no_masks_change_nothing():
    frames, mask = frames_and_mask()
    assert torch.equal(mask_features(frames, mask, max_time_share=0.0, max_bands=0), frames)


def test_padding_does_not_enter_the_mean():
    frames, mask = frames_and_mask()
    torch.manual_seed(5)
    clean = mask_features(frames, mask)
    torch.manual_seed(5)
    garbage = mask_features(torch.where(mask.unsqueeze(2), frames, 1e4), mask)
    assert torch.allclose(garbage[mask], clean[mask], atol=1e-6)


def test_wide_frames_and_single_frames_can_be_masked():
    assert mask_features(torch.randn(4, 1, 256), torch.ones(4, 1, dtype=torch.bool)).shape == (4, 1, 256)


@pytest.mark.parametrize("stack", [1, 3, 4])
def test_a_mel_band_is_hidden_in_all_frames_that_stand_side_by_side(stack):
    frames = torch.rand(20, 30, 64 * stack) + 1
    mask = torch.ones(20, 30, dtype=torch.bool)
    changed = mask_features(frames, mask, max_time_share=0.0, num_bands=64) != frames
    by_frame = changed.reshape(20, 30 * stack, 64)
    assert torch.equal(by_frame, by_frame[:, :1].expand_as(by_frame)), "hidden at one moment, hidden at all"
    hidden = by_frame[:, 0].sum(dim=1)
    assert (hidden <= 2 * 12).all()
    assert (hidden > 0).sum() >= 15


# Words


def test_hidden_words_are_zeros_and_the_others_stay():
    vectors = torch.randn(50, 40, 3)
    changed = hide_words(vectors, probability=0.25)
    hidden = (changed == 0).all(dim=2)
    assert torch.equal(changed[~hidden], vectors[~hidden])
    assert float(hidden.float().mean()) == pytest.approx(0.25, abs=0.03)
