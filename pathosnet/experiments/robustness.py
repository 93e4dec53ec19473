"""How much worse a model becomes with a speech recognizer's errors, with noise, and over the telephone."""

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from pathosnet.audio import degradation
from pathosnet.corpora import Corpus, read_manifest
from pathosnet.corpora.contents import identify
from pathosnet.errors import InputError
from pathosnet.evaluation import measure, measure_word_errors
from pathosnet.evaluation.panels import Panel, plot_panels
from pathosnet.experiments.config import AUTO, TrainConfig
from pathosnet.experiments.evaluate import compute_outputs
from pathosnet.experiments.prepare import extraction_device, open_store, say_notes
from pathosnet.experiments.run_folder import choose_part, versions
from pathosnet.features import tokenize
from pathosnet.features.acoustic.extractors import AcousticExtractor
from pathosnet.features.extract import extract_features
from pathosnet.files import to_path, write_json
from pathosnet.options import parse_pairs
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.training import FeatureTable

CLEAN, WORDS, NOISE, GAIN, TELEPHONE = "clean", "words", "noise", "gain", "telephone"
DEFAULT_WER = (0.0, 0.1, 0.2, 0.4, 0.6)
DEFAULT_SNR = (40.0, 20.0, 10.0, 0.0)
DEFAULT_GAIN = (-20.0, -10.0, 10.0)
DEFAULT_SEEDS = (0, 1, 2)
TABLE_FILE = "robustness.csv"
PLOT_FILE = "robustness.png"
REPORT_FILE = "robustness.json"
COLUMNS = ("condition", "target", "reached", "accuracy", "accuracy_sd", "uar", "uar_sd", "utterances", "seeds")


@dataclass(frozen=True)
class Trial:
    """A condition with one seed."""

    seed: int
    reached: float | None
    accuracy: float
    uar: float


@dataclass(frozen=True)
class Point:
    """A condition, over its seeds. ``target`` and ``reached`` are word error rates, or signal-to-noise ratios in dB."""

    condition: str
    target: float | None
    trials: tuple[Trial, ...]

    @property
    def reached(self) -> float | None:
        """Mean of the measured values."""
        found = [trial.reached for trial in self.trials if trial.reached is not None]
        return float(np.mean(found)) if found else None

    def mean(self, metric: str) -> float:
        """Returns the mean of ``accuracy`` or ``uar``."""
        return float(np.mean([getattr(trial, metric) for trial in self.trials]))

    def sd(self, metric: str) -> float | None:
        """Returns the standard deviation over the seeds; None for a single one."""
        return (
            float(np.std([getattr(trial, metric) for trial in self.trials], ddof=1)) if len(self.trials) > 1 else None
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures and the trials as JSON values."""
        figures = {
            name: value for m in ("accuracy", "uar") for name, value in ((m, self.mean(m)), (f"{m}_sd", self.sd(m)))
        }
        about = {"condition": self.condition, "target": self.target, "reached": self.reached}
        return {**about, **figures, "trials": [asdict(trial) for trial in self.trials]}


@dataclass(frozen=True)
class Robustness:
    """A model's figures under every condition."""

    model: str
    corpus: str
    what: str
    """A line that says which utterances were measured."""
    utterances: int
    num_classes: int
    points: tuple[Point, ...]
    """The first is the clean one."""

    def table(self) -> str:
        """Returns a table for a person."""
        lines = ["condition".ljust(16) + "reached".rjust(9) + "accuracy".rjust(16) + "UAR".rjust(16)]
        for point in self.points:
            name = point.condition
            if point.target is not None:
                name += f" {_shown_level(point.condition, point.target)}"
            reached = "–" if point.reached is None else _shown_level(point.condition, point.reached, 1)
            lines.append(name.ljust(16) + reached.rjust(9) + "".join(_shown(point, m) for m in ("accuracy", "uar")))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        about = {"model": self.model, "corpus": self.corpus, "what": self.what, "utterances": self.utterances}
        return {**about, "points": [point.to_dict() for point in self.points], "versions": versions()}

    def write_into(self, folder: Path) -> None:
        """Writes ``robustness.csv``, ``robustness.json`` and ``robustness.png`` into an existing folder."""
        write_json(folder / REPORT_FILE, self.to_dict())
        with (folder / TABLE_FILE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for point in self.points:
                writer.writerow({**point.to_dict(), "utterances": self.utterances, "seeds": len(point.trials)})
        self.plot(folder / PLOT_FILE)

    def plot(self, path: str | Path) -> None:
        """Draws accuracy and UAR against what was reached; ``.png``, ``.svg`` or ``.pdf``."""
        clean = self.points[0]
        panels = []
        for condition, label in (
            (WORDS, "word error rate"),
            (NOISE, "signal-to-noise ratio (dB)"),
            (GAIN, "level (dB)"),
        ):
            points = sorted((p for p in self.points if p.condition == condition), key=lambda p: p.target or 0.0)
            if points:
                positions = [p.target if p.reached is None else p.reached for p in points]
                panels.append(_panel(label, positions, points, clean=clean))
        calls = [point for point in self.points if point.condition == TELEPHONE]
        if calls:
            panels.append(_panel("", ["clean", "telephone"], [clean, *calls]))
        plot_panels(panels, path, chance=1 / self.num_classes)


def _shown_level(condition: str, level: float, digits: int = 0) -> str:
    return f"{100 * level:.{digits}f}%" if condition == WORDS else f"{level:.{digits}f} dB"


def _shown(point: Point, metric: str) -> str:
    sd = point.sd(metric)
    return (f"{point.mean(metric):.3f}" + (" " * 8 if sd is None else f" ± {sd:.3f}")).rjust(16)


def _panel(label: str, positions: Sequence[Any], points: Sequence[Point], clean: Point | None = None) -> Panel:
    names = {"accuracy": "accuracy", "UAR": "uar"}
    return Panel(
        label,
        positions,
        {shown: [p.mean(metric) for p in points] for shown, metric in names.items()},
        deviations={shown: [p.sd(metric) or 0.0 for p in points] for shown, metric in names.items()},
        references={shown: clean.mean(metric) for shown, metric in names.items()} if clean else {},
        as_percent=label.startswith("word"),
        falling=label.startswith("signal"),
    )


@dataclass(frozen=True)
class _Subject:
    """Subject of the measurement: a model, and utterances with their clean features."""

    model: PathosNet
    corpus: Corpus
    positions: Sequence[int]
    extractors: dict[str, AcousticExtractor]
    clean: FeatureTable
    vocabulary: Mapping[str, Sequence[str]]
    """Language → all words of the corpus, each as often as it occurs."""
    hardware: TrainConfig
    """Options of extraction: workers, store and device."""

    def trial(self, seed: int, table: FeatureTable, reached: float | None = None) -> Trial:
        """Measures the model on features."""
        probabilities = compute_outputs(self.model, table, range(len(table))).numpy()
        labels = self.model.target.classes
        metrics = measure(table.targets.tolist(), probabilities[:, : len(labels)], labels)
        return Trial(seed, reached, metrics.accuracy, uar=metrics.uar)

    def with_word_errors(self, rate: float, seed: int) -> Trial:
        """Measures with corrupted texts beside the clean voice."""
        utterances = list(self.corpus.utterances)
        for i in self.positions if rate else ():
            said = utterances[i]
            words = degradation.corrupt_words(
                tokenize(said.text), rate, self.vocabulary[said.language], generator=np.random.default_rng((seed, i))
            )
            utterances[i] = replace(said, text=" ".join(words))
        errors = measure_word_errors(
            [self.corpus.utterances[i].text for i in self.positions], [utterances[i].text for i in self.positions]
        )
        heard = replace(self.corpus, utterances=tuple(utterances))
        table = extract_features(
            heard, {}, self.model.text, progress=False, positions=self.positions, device=self.model.device
        )
        return self.trial(seed, self.clean.with_sequences(**table.sequences), errors.wer if errors else None)

    def with_noise(self, snr_db: float, seed: int) -> Trial:
        """Measures with noise on the voice beside the clean text."""
        reached = []

        def change(waveform: Tensor, position: int) -> Tensor:
            noisy = degradation.add_white_noise(waveform, snr_db, np.random.default_rng((seed, position)))
            reached.append(degradation.measure_snr(waveform, noisy))
            return noisy

        table = self._changed(change)
        finite = [snr for snr in reached if np.isfinite(snr)]  # digital silence has none
        return self.trial(seed, table, float(np.mean(finite)) if finite else None)

    def with_gain(self, gain_db: float, seed: int) -> Trial:
        """Measures at another level."""
        return self.trial(seed, self._changed(lambda waveform, _: degradation.change_gain(waveform, gain_db)))

    def over_the_telephone(self, seed: int) -> Trial:
        """Measures with the bandwidth of a telephone beside the clean text."""
        return self.trial(seed, self._changed(lambda waveform, _: degradation.telephone(waveform)))

    def _changed(self, change: Callable[[Tensor, int], Tensor]) -> FeatureTable:
        table = extract_features(
            self.corpus,
            self.extractors,
            None,
            progress=self.hardware.progress,
            positions=self.positions,
            change=change,
            workers=self.hardware.workers,
            device=self.model.device,
        )
        return self.clean.with_sequences(**table.sequences)


def measure_robustness(
    run: str | Path,
    corpus_path: str | Path,
    wer: Sequence[float] = (),
    *,
    snr: Sequence[float] = (),
    telephone: bool = False,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    part: str = "auto",
    label: Sequence[str] = (),
    drop_labels: Sequence[str] = (),
    progress: bool = True,
    gain: Sequence[float] = (),
    workers: int | None = None,
    feature_store: str = AUTO,
    accelerator: str = AUTO,
) -> Robustness:
    """Measures a saved model on a corpus whose texts or recordings are made worse, one at a time.

    Errors and noise depend on the seed and the utterance, not on the rate: what is wrong at a lower rate is wrong at a
    higher one, too.

    Args:
        run: folder of the run or the model.
        corpus_path: the manifest.
        wer: target word error rates, in [0, 1]; see ``corrupt_words``. Words come from all of the corpus' texts of the
            utterance's language, as often as they occur there.
        snr: signal-to-noise ratios in dB; see ``add_white_noise``.
        telephone: whether to measure through a telephone; see ``degradation.telephone``.
        seeds: of errors and noise.
        part: see ``evaluate``.
        label: see ``evaluate``.
        drop_labels: see ``evaluate``.
        progress: show progress bars.
        gain: changes of the level in dB; see ``degradation.change_gain``.
        workers: see ``evaluate``.
        feature_store: see ``evaluate``; for the clean recordings.
        accelerator: see ``evaluate``.

    If none of ``wer``, ``snr``, ``gain`` and ``telephone`` is given, all that the model reads is made worse, by default
    values.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    _check(wer, seeds)
    model = PathosNet.from_pretrained(run)
    if not model.target.classes:
        raise InputError(f"{run}: estimates {', '.join(model.labels)}; robustness is measured of emotions")
    extractors: dict[str, AcousticExtractor] = dict(model.acoustic.items())  # type: ignore[arg-type]
    if not (wer or snr or gain or telephone):
        wer = DEFAULT_WER if model.text is not None else ()
        snr, gain, telephone = (DEFAULT_SNR, DEFAULT_GAIN, True) if extractors else ((), (), False)
    if wer and model.text is None:
        raise InputError(f"{run}: reads no text, so that --wer does not apply to it; leave it out")
    if (snr or gain or telephone) and not extractors:
        raise InputError(
            f"{run}: reads no audio, so that --snr, --gain and --telephone do not apply to it; leave them out"
        )
    corpus = read_manifest(
        corpus_path,
        model.target.classes,
        parse_pairs(tuple(label), "--label"),
        drop_labels=drop_labels,
        needs_audio=bool(extractors),
    )
    corpus = identify(corpus, drop_useless=False) if extractors else corpus
    say_notes(corpus)
    positions, what = choose_part(to_path(run), corpus, part)
    if wer and not any(tokenize(corpus.utterances[i].text) for i in positions):
        raise InputError(f"{corpus.title}: has no texts to make errors in; fill in the column 'text'")
    hardware = TrainConfig(workers=workers, feature_store=feature_store, accelerator=accelerator, progress=progress)
    model.to(extraction_device(hardware))
    clean = extract_features(
        corpus,
        extractors,
        model.text,
        progress=progress,
        positions=positions,
        workers=workers,
        store=open_store(hardware),
        device=model.device,
    )
    subject = _Subject(
        model, corpus, positions, extractors=extractors, clean=clean, vocabulary=_vocabulary(corpus), hardware=hardware
    )
    points = [Point(CLEAN, None, (subject.trial(0, clean),))]
    conditions: list[tuple[str, float | None, Callable[[int], Trial]]] = [
        *((WORDS, rate, lambda seed, rate=rate: subject.with_word_errors(rate, seed)) for rate in wer),
        *((NOISE, level, lambda seed, level=level: subject.with_noise(level, seed)) for level in snr),
    ]
    shown = tqdm(conditions, desc="conditions", leave=False, disable=None if progress else True)
    points += [Point(name, target, tuple(run_it(seed) for seed in seeds)) for name, target, run_it in shown]
    points += [Point(GAIN, level, (subject.with_gain(level, 0),)) for level in gain]
    if telephone:
        points.append(Point(TELEPHONE, None, (subject.over_the_telephone(0),)))
    return Robustness(
        str(run),
        corpus.title,
        what,
        utterances=len(positions),
        num_classes=len(model.target.classes),
        points=tuple(points),
    )


def _check(wer: Sequence[float], seeds: Sequence[int]) -> None:
    for rate in wer:
        if not 0 <= rate <= 1:
            raise InputError(f"wer: expected rates between 0 and 1, got {rate:g}; 0.2 is 20 %")
    if not seeds or min(seeds) < 0:
        raise InputError(f"seeds: expected at least one, none below 0, got {', '.join(map(str, seeds)) or 'none'}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected each once, got {', '.join(map(str, seeds))}")


def _vocabulary(corpus: Corpus) -> dict[str, list[str]]:
    words: dict[str, list[str]] = defaultdict(list)
    for utterance in corpus.utterances:
        words[utterance.language] += tokenize(utterance.text)
    return words
