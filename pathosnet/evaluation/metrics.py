"""Figures of predictions: the paper's metrics (section 7), those beside them, and word error rates.

scikit-learn and jiwer compute what they have; every figure is checked against scikit-learn or scipy in the tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathosnet.evaluation.tables import UNDEFINED, Table
from pathosnet.features.text.tokens import tokenize

SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Metrics:
    """Figures of predicted emotions, in [0, 1] unless noted; None where a figure is not defined."""

    utterances: int
    accuracy: float
    uar: float
    """Unweighted average recall: the mean of the recalls of the classes that occur."""
    precision: float
    recall: float
    f1: float
    """Precision, recall and F1 of each class, averaged with the class' support."""
    macro_f1: float
    """F1 of each class that occurs or is predicted, each counting alike."""
    auc: float | None
    """Area under the ROC curve, one class against the rest, averaged with the class' support; None for one class."""
    log_loss: float
    """Mean cross-entropy in nats, 0 or more; against the raters' shares where those are given."""
    jensen_shannon: float | None
    """Mean Jensen-Shannon divergence from the raters' shares, in bits; None where there are none."""
    recalls: dict[str, float | None]
    """Label → recall; None if the label does not occur."""
    confusion: list[list[int]]
    """Rows are the truth, columns the predictions, both in the order of the labels."""

    def summary(self) -> str:
        """Returns one line for a person."""
        figures = f"accuracy {self.accuracy:.3f}, UAR {self.uar:.3f}, weighted F1 {self.f1:.3f}"
        votes = "" if self.jensen_shannon is None else f", divergence from the votes {self.jensen_shannon:.3f}"
        return f"{figures}, AUC {_shown(self.auc)}{votes} ({self.utterances} utterances)"

    def table(self) -> Table:
        """Returns the confusion matrix with the recalls."""
        rows = [
            (label, *map(str, counts), _shown(recall))
            for (label, recall), counts in zip(self.recalls.items(), self.confusion, strict=True)
        ]
        return Table(("true \\ predicted", *self.recalls, "recall"), rows)


def measure(
    truth: Sequence[int] | np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    shares: np.ndarray | None = None,
) -> Metrics:
    """Compares predicted emotions with the truth.

    Args:
        truth: label numbers, ``(utterances,)``.
        probabilities: ``(utterances, classes)``; the most probable class is the prediction.
        labels: names of the classes.
        shares: of the raters who chose each class, ``(utterances, classes)``; rows that sum to 1.

    Raises:
        ValueError: there are no utterances.

    >>> measure([0, 1], np.array([[0.8, 0.2], [0.6, 0.4]]), ("anger", "joy")).summary()
    'accuracy 0.500, UAR 0.500, weighted F1 0.333, AUC 1.000 (2 utterances)'
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    if len(truth) == 0:
        raise ValueError("expected at least one utterance to measure, got none")
    true = np.asarray(truth)
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(len(labels))
    _, recalls, f1s, support = precision_recall_fscore_support(true, predicted, labels=classes, zero_division=0)
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, predicted, labels=classes, average="weighted", zero_division=0
    )
    known = np.eye(len(labels))[true] if shares is None else shares
    return Metrics(
        utterances=len(true),
        accuracy=float((true == predicted).mean()),
        uar=float(recalls[support > 0].mean()),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        macro_f1=float(f1s[np.union1d(true, predicted)].mean()),
        auc=_weighted_auc(true, probabilities),
        log_loss=_cross_entropy(known, probabilities),
        jensen_shannon=None if shares is None else jensen_shannon_divergence(shares, probabilities),
        recalls={
            label: float(value) if count else None for label, value, count in zip(labels, recalls, support, strict=True)
        },
        confusion=confusion_matrix(true, predicted, labels=classes).tolist(),
    )


def _weighted_auc(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Equals scikit-learn's weighted one-vs-rest AUC; a class that the truth lacks, which that refuses, weighs 0."""
    from sklearn.metrics import roc_auc_score

    present = np.unique(truth)
    if len(present) < 2:
        return None
    areas = [roc_auc_score(truth == label, probabilities[:, label]) for label in present]
    return float(np.average(areas, weights=[(truth == label).sum() for label in present]))


def _cross_entropy(shares: np.ndarray, probabilities: np.ndarray) -> float:
    logarithms = np.log(np.maximum(np.asarray(probabilities, dtype=float), SMALLEST_PROBABILITY))
    return float(-(shares * logarithms).sum(axis=1).mean())


def jensen_shannon_divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the mean Jensen-Shannon divergence of distributions, in bits: 0 where they agree, at most 1.

    Args:
        first: ``(utterances, classes)``, rows that sum to 1.
        second: of the same shape.

    >>> jensen_shannon_divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    1.0
    """
    from scipy.spatial.distance import jensenshannon

    return float((jensenshannon(first, second, base=2, axis=1) ** 2).mean())


@dataclass(frozen=True)
class DimensionMetrics:
    """Figures of estimates, each by dimension; a coefficient is None where truth or estimates do not vary."""

    utterances: int
    mean_ccc: float
    """Mean over all dimensions; one that does not vary counts as 0."""
    ccc: dict[str, float | None]
    """Concordance correlation coefficient (Lin, 1989), in [-1, 1]."""
    pearson: dict[str, float | None]
    """Pearson's correlation coefficient, in [-1, 1]."""
    rmse: dict[str, float]
    """Root of the mean squared error, in the units of the corpus."""

    def summary(self) -> str:
        """Returns one line for a person."""
        each = ", ".join(f"{name} {_shown(value)}" for name, value in self.ccc.items())
        return f"mean CCC {self.mean_ccc:.3f} ({each}; {self.utterances} utterances)"

    def table(self) -> Table:
        """Returns a row for each dimension."""
        rows = [
            (name, _shown(self.ccc[name]), _shown(self.pearson[name]), _shown(rmse)) for name, rmse in self.rmse.items()
        ]
        return Table(("", "CCC", "Pearson", "RMSE"), rows)


def measure_dimensions(truth: np.ndarray, estimates: np.ndarray, names: Sequence[str]) -> DimensionMetrics:
    """Compares estimates with the truth.

    Args:
        truth: ``(utterances, dimensions)``.
        estimates: of the same shape.
        names: of the dimensions.

    Raises:
        ValueError: there are no utterances.

    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> measure_dimensions(truth, truth + 1, ["valence"]).summary()
    'mean CCC 0.571 (valence 0.571; 3 utterances)'
    """
    if len(truth) == 0:
        raise ValueError("expected at least one utterance to measure, got none")
    x, y = np.asarray(estimates, dtype=float), np.asarray(truth, dtype=float)
    covariances = ((x - x.mean(0)) * (y - y.mean(0))).mean(0)
    varies = (np.ptp(x, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        pearson = covariances / (x.std(0) * y.std(0))
        ccc = 2.0 * covariances / (x.var(0) + y.var(0) + (x.mean(0) - y.mean(0)) ** 2)

    def named(values: np.ndarray) -> dict[str, float | None]:
        return {name: float(value) if ok else None for name, value, ok in zip(names, values, varies, strict=True)}

    return DimensionMetrics(
        utterances=len(y),
        mean_ccc=float(np.where(varies, ccc, 0.0).mean()),
        ccc=named(ccc),
        pearson=named(pearson),
        rmse=dict(zip(names, np.sqrt(((x - y) ** 2).mean(0)).tolist(), strict=True)),
    )


@dataclass(frozen=True)
class MultiTaskMetrics(Metrics, DimensionMetrics):
    """Figures of emotions and of estimates, each of the utterances of which the truth is known."""

    rated: int
    """Utterances whose numbers are known; ``utterances`` are those whose emotion is known."""

    @classmethod
    def of(cls, emotions: Metrics, estimates: DimensionMetrics) -> "MultiTaskMetrics":
        """Joins both."""
        return cls(**{**vars(estimates), **vars(emotions)}, rated=estimates.utterances)

    def summary(self) -> str:
        """Returns one line for a person."""
        estimates = DimensionMetrics(self.rated, self.mean_ccc, self.ccc, pearson=self.pearson, rmse=self.rmse)
        return f"{Metrics.summary(self)}; {estimates.summary()}"


@dataclass(frozen=True)
class WordErrors:
    """Errors of all transcripts together, over the words and characters of all references together."""

    utterances: int
    words: int
    """Words of the references."""
    wer: float
    """Substitutions, deletions and insertions for each word; above 1 with many insertions."""
    cer: float
    """The same for each character."""
    substitutions: int
    deletions: int
    insertions: int
    """Substitutions, deletions and insertions are numbers of words."""


def normalize_transcript(text: str) -> str:
    """Makes transcripts comparable: no tags such as [LAUGHTER], no punctuation, lower case, single spaces.

    The words are those that the text branch reads, so that ``l'amico`` is two; ``casefold`` makes them lower case.

    >>> normalize_transcript("  Straße, L'amico… [LAUGHTER] 3 ")
    'strasse l amico 3'
    """
    return " ".join(tokenize(text)).casefold()


def measure_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors | None:
    """Compares transcripts with the words that were spoken, both normalized.

    Args:
        references: the spoken words; utterances without any are left out.
        hypotheses: a transcript for each, perhaps empty.

    Returns:
        The errors; None if no reference has words.
    """
    import jiwer

    texts = [
        (normalize_transcript(reference), normalize_transcript(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    texts = [(reference, hypothesis) for reference, hypothesis in texts if reference]
    if not texts:
        return None
    spoken, transcribed = (list(column) for column in zip(*texts, strict=True))
    found = jiwer.process_words(spoken, transcribed)
    return WordErrors(
        utterances=len(texts),
        words=found.hits + found.substitutions + found.deletions,
        wer=found.wer,
        cer=jiwer.process_characters(spoken, transcribed).cer,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
    )


def _shown(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"
