"""What others compute of the same input: resampling, metrics, and what folds guarantee."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import cases, check_message
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample as fourier_resample
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, log_loss, roc_auc_score
from sklearn.metrics import precision_recall_fscore_support as prf

from pathosnet.audio.resampling import resample, resample_blocks
from pathosnet.corpora.folds import make_folds
from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.corpora.splits import find_leak
from pathosnet.errors import InputError
from pathosnet.evaluation import measure
from pathosnet.targets import ClassTarget

LABELS = ("happiness", "anger", "sadness", "neutral")


@cases(30, many=1_000)
@given(st.integers(1_000, 384_000), st.floats(0.02, 0.4))
def test_a_tone_is_resampled_to_the_same_tone(rate, share):
    """Against the formula: within the band that both rates have, a sine stays the sine."""
    hertz = share * min(rate, 16_000)
    seconds = max(0.2, 40 / hertz, 400 / min(rate, 16_000))
    time = np.arange(round(seconds * rate)) / rate
    ours = resample(torch.from_numpy(np.sin(2 * np.pi * hertz * time).astype(np.float32)), rate, 16_000).numpy()
    assert len(ours) == math.ceil(len(time) * 16_000 / rate)
    expected = np.sin(2 * np.pi * hertz * np.arange(len(ours)) / 16_000)
    inner = slice(len(ours) // 4, -len(ours) // 4)  # the filter has no samples beyond the ends
    assert np.abs(ours[inner] - expected[inner]).max() < 2e-3


@cases(30, many=1_000)
@given(st.integers(1, 64), st.integers(0, 2**32 - 1))
def test_noise_is_resampled_as_by_fourier_transform(ratio, seed):
    """Against scipy's resampling of a periodic signal, of noise below a third of the lower rate."""
    rate, generator = 1_000 * ratio, np.random.default_rng(seed)
    num_samples = rate // 2
    time, highest = np.arange(num_samples) / rate, 0.33 * min(rate, 16_000)
    tones = [(generator.integers(1, max(2, highest // 2)) * 2, generator.uniform(0, 6.28)) for _ in range(5)]
    wave = sum(np.sin(2 * np.pi * hertz * time + phase) for hertz, phase in tones) / 5
    theirs = fourier_resample(wave, num_samples * 16_000 // rate)
    ours = resample(torch.from_numpy(wave.astype(np.float32)), rate, 16_000).numpy()
    inner = slice(len(ours) // 4, -len(ours) // 4)
    assert np.abs(ours[inner] - theirs[inner]).max() < 2e-3


@cases(30, many=1_000)
@given(st.integers(1_000, 384_000), st.lists(st.integers(0, 4_000), min_size=1, max_size=6))
def test_blocks_of_any_size_give_the_same_samples(rate, lengths):
    wave = np.random.default_rng(rate).uniform(-1, 1, sum(lengths)).astype(np.float32)
    whole = np.concatenate(list(resample_blocks([wave], rate, 16_000)))
    pieces = np.split(wave, np.cumsum(lengths)[:-1])
    assert np.array_equal(np.concatenate(list(resample_blocks(pieces, rate, 16_000))), whole)


@st.composite
def predictions(draw):
    """Truth and probabilities of few or many utterances, ties and certainties among them."""
    size, classes = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = generator.integers(0, draw(st.integers(1, classes)), size)
    scores = generator.exponential(size=(size, classes)) + 1e-9
    if draw(st.booleans()):
        scores = np.round(scores) + 1e-9  # ties
    if draw(st.booleans()):
        scores[np.arange(size), generator.integers(0, classes, size)] += 1e6
    return truth, scores / scores.sum(1, keepdims=True)


@cases(40)
@given(predictions())
def test_metrics_are_scikit_learns(table):
    truth, probabilities = table
    classes = range(probabilities.shape[1])
    ours, guess = measure(truth, probabilities, [f"c{i}" for i in classes]), probabilities.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are only predicted
        assert ours.uar == pytest.approx(balanced_accuracy_score(truth, guess))
    precision, recall, f1, _ = prf(truth, guess, average="weighted", zero_division=0)
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx((precision, recall, f1))
    assert ours.accuracy == pytest.approx((truth == guess).mean())
    assert ours.macro_f1 == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
    assert ours.confusion == confusion_matrix(truth, guess, labels=list(classes)).tolist()
    clipped = np.maximum(probabilities, 1e-12)  # scikit-learn clips at another one
    expected_loss = log_loss(truth, clipped / clipped.sum(1, keepdims=True), labels=list(classes))
    assert ours.log_loss == pytest.approx(expected_loss, abs=1e-6)
    present = np.unique(truth)
    if len(present) < 2:
        assert ours.auc is None
    elif len(present) == len(classes) > 2:
        assert ours.auc == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted"))
    figures = [ours.accuracy, ours.uar, ours.precision, ours.recall, ours.f1, ours.macro_f1, ours.auc or 0]
    assert all(0 <= figure <= 1 for figure in figures)
    assert math.isfinite(ours.log_loss)


@st.composite
def corpora(draw):
    """A corpus of up to three names and few or many speakers, sentences and repeated recordings."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(8, 60))
    speakers, scripts, sessions = (draw(st.integers(1, 12)) for _ in range(3))
    names, emotions = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    is_anonymous, has_scripts, repeats = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 3))
    utterances: list[Utterance] = []
    for i in range(size):
        if 0 < i <= repeats:  # the same recording listed again, of the same speaker
            utterances.append(replace(utterances[0], row=i + 2))
            continue
        corpus = f"c{generator.integers(names)}"
        utterances.append(
            Utterance(
                Path(f"{corpus}/{i}.wav"),
                f"words {generator.integers(scripts)}",
                LABELS[generator.integers(emotions)],
                speaker="" if is_anonymous and i % 7 == 0 else f"s{generator.integers(speakers)}",
                corpus=corpus,
                session=f"x{generator.integers(sessions)}",
                script=f"t{generator.integers(scripts)}" if has_scripts else "",
                content=f"samples {i}",
                row=i + 2,
                manifest=Path("c.csv"),
            )
        )
    return Corpus((Path("c.csv"),), tuple(utterances), ClassTarget(LABELS))


APART = {
    "speaker": ("speaker",),
    "session": ("session",),
    "script": ("script",),
    "speaker+script": ("speaker", "script"),
}


@cases(50)
@given(corpora(), st.sampled_from(("random", "corpus", *APART)), st.integers(2, 5), st.integers(0, 99))
def test_folds_keep_what_they_promise(corpus, strategy, num_folds, seed):
    """Parts are disjoint; none of a person, a session or a sentence that is kept apart is tested and trained on."""
    try:
        folds = make_folds(corpus, strategy, num_folds, seed=seed)
    except InputError as error:
        check_message(str(error), "c.csv")
        return
    tested = []
    for split in folds:
        parts = [list(part) for part in split.parts().values()]
        together = [i for part in parts for i in part]
        assert len(together) == len(set(together))
        assert set(together) <= set(range(len(corpus)))
        if strategy != "speaker+script":
            assert len(together) == len(corpus)
        assert len(split.train)
        assert len(split.test)
        tested += list(split.test)
        train, test = ([corpus.utterances[i] for i in part] for part in (split.train, split.test))
        assert not {u.content for u in train} & {u.content for u in test}
        for name in APART.get(strategy, ()):
            keys = [
                {(u.corpus, u.sentence if name == "script" else getattr(u, name)) for u in part}
                for part in (train, test)
            ]
            assert not keys[0] & keys[1]
        if strategy == "corpus":
            assert not {u.corpus for u in train} & {u.corpus for u in test}
        leak = find_leak(corpus, split)
        assert all(0 <= count <= len(corpus) for count in leak.values())
    assert len(tested) == len(set(tested))
    if strategy != "speaker+script":
        assert len(tested) == len(corpus)
    again = make_folds(corpus, strategy, num_folds, seed=seed)
    assert [split.parts() for split in again] == [split.parts() for split in folds]
