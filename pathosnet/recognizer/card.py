"""The model card: a README that says what a model was made of, how it did, and what it is not for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from pathosnet.config import TrainConfig
from pathosnet.corpora import Corpus, Split
from pathosnet.corpora.known import IMPORTERS
from pathosnet.corpora.leaks import describe_leak, describe_split
from pathosnet.weights.catalogue import CATALOGUE, find_by_file

CARD_FILE = "README.md"
UNKNOWN = "not recorded"
THIS_FOLDER = "path/to/this/folder"
METRICS = {
    "accuracy": "accuracy",
    "uar": "unweighted average recall",
    "precision": "precision, weighted",
    "recall": "recall, weighted",
    "f1": "F1, weighted",
    "auc": "AUC, weighted",
    "mean_ccc": "mean concordance correlation coefficient",
}
METRICS_BY_LABEL = {
    "recalls": "recall",
    "ccc": "concordance correlation coefficient",
    "pearson": "Pearson correlation coefficient",
    "rmse": "root mean squared error",
}


@dataclass(frozen=True)
class CorpusFacts:
    """What a model was trained on, of one corpus.

    Args:
        name: as the manifest has it.
        languages: codes.
        counts: emotion → utterances, all parts together; empty where numbers were estimated.
        utterances: how many.
        source: who publishes it; empty if that is not known.
        licence: as the publisher states it; empty if that is not known.
    """

    name: str
    languages: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    utterances: int = 0
    source: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known about how a model was made; it travels in ``config.json``. Nothing is known by default.

    Args:
        corpora: what it was trained, validated and tested on.
        split: ``strategy``, ``guarantee``, and the sizes of the parts.
        leak: how much of the test part the training part had seen.
        metrics: of the test part.
        vectors: names of the files of word vectors.
        seed: of everything random.
        earlier: what a model was trained on before it was fine-tuned.
    """

    corpora: tuple[CorpusFacts, ...] = ()
    split: Mapping[str, Any] = field(default_factory=dict)
    leak: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    seed: int | None = None
    earlier: tuple[CorpusFacts, ...] = ()

    @property
    def languages(self) -> list[str]:
        """All corpora's languages."""
        return sorted({language for corpus in (*self.corpora, *self.earlier) for language in corpus.languages})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Facts":
        """Reads what ``dataclasses.asdict`` made of the facts.

        Raises:
            TypeError: it is something else.
            ValueError: it is something else.
        """
        seed = value["seed"]
        return cls(
            _corpora_of(value["corpora"]),
            dict(value["split"]),
            {str(key): int(count) for key, count in dict(value["leak"]).items()},
            dict(value["metrics"]),
            tuple(map(str, value["vectors"])),
            None if seed is None else int(seed),
            _corpora_of(value.get("earlier", ())),
        )


def _corpora_of(values: Sequence[Mapping[str, Any]]) -> tuple[CorpusFacts, ...]:
    return tuple(
        CorpusFacts(
            str(one["name"]),
            tuple(map(str, one["languages"])),
            {str(label): int(count) for label, count in dict(one["counts"]).items()},
            int(one["utterances"]),
            str(one["source"]),
            str(one["licence"]),
        )
        for one in values
    )


def facts_of_training(
    corpus: Corpus, split: Split, config: TrainConfig, leak: Mapping[str, int], metrics: Mapping[str, Any] | None
) -> Facts:
    """Collects what a training run knows about the model that it made; no paths, which are nobody else's business."""
    names = list(dict.fromkeys(utterance.corpus for utterance in corpus.utterances))
    kept = {name: value for name, value in (metrics or {}).items() if name != "confusion"}
    return Facts(
        tuple(_facts_of_corpus(corpus, name) for name in names),
        {
            "strategy": Path(split.strategy).name,
            "guarantee": describe_split(corpus, split),
            **{name: len(part) for name, part in split.parts().items()},
        },
        dict(leak),
        kept,
        tuple(Path(value.rpartition("=")[2]).name for value in config.text),
        config.seed,
    )


def _facts_of_corpus(corpus: Corpus, name: str) -> CorpusFacts:
    utterances = [utterance for utterance in corpus.utterances if utterance.corpus == name]
    counts = Counter(utterance.emotion for utterance in utterances)
    languages = sorted({utterance.language for utterance in utterances if utterance.language})
    importer = IMPORTERS.get(name.lower())
    return CorpusFacts(
        name,
        tuple(languages),
        {} if corpus.dimensional else {label: counts[label] for label in corpus.labels},
        len(utterances),
        importer.source if importer else "",
        importer.licence if importer else "",
    )


def write_card(
    folder: Path,
    labels: Sequence[str],
    backbones: Mapping[str, str],
    reads_text: bool,
    facts: Facts,
    dimensional: bool = False,
    name: str = THIS_FOLDER,
    license: str = "other",
) -> None:
    """Writes ``README.md`` into a model's folder.

    Args:
        folder: the model's.
        labels: of its outputs, emotions or dimensions.
        backbones: acoustic feature → the file of its pre-trained weights, or an empty string.
        reads_text: whether it has a text branch.
        facts: about its making.
        dimensional: the labels are dimensions that it estimates.
        name: what ``from_pretrained`` is to be called with.
        license: of the weights, as the hub spells it.
    """
    languages = facts.languages
    header = ModelCardData(
        language=languages or None,
        license=license,
        library_name="pathosnet",
        pipeline_tag="audio-classification" if backbones else "text-classification",
        tags=[
            "speech-emotion-recognition",
            "emotion-recognition",
            *(["multimodal"] if backbones and reads_text else []),
        ],
        metrics=None if dimensional else ["accuracy", "recall", "f1"],
    )
    does = (
        f"Estimates {', '.join(labels)} in speech as numbers."
        if dimensional
        else f"Tells {len(labels)} emotions in speech apart: {', '.join(labels)}."
    )
    title = "pathosnet model" if name == THIS_FOLDER else name
    read = (["recordings of speech"] if backbones else []) + (["transcripts"] if reads_text else [])
    sections = [
        f"---\n{header.to_yaml()}\n---",
        f"# {title}\n\n{does}\nIt reads {' and '.join(read)}. {NETWORKS}",
        f"## How to use it\n\n{_snippet(name, bool(backbones), reads_text, dimensional)}",
        f"## What it was trained on\n\n{_data(facts, () if dimensional else labels)}",
        f"## How it was tested\n\n{_test(facts)}",
        f"## What is in it\n\n{_parts(backbones, reads_text, facts)}",
        f"## Intended use\n\n{INTENDED_USE}",
        f"## Limits\n\n{LIMITS}",
        f"## Licence\n\nOf these weights: {'not stated' if license == 'other' else license}. {OTHER_LICENCES}",
    ]
    (folder / CARD_FILE).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


NETWORKS = """\
The networks are those of PATHOSnet (Scotti, Galati, Sbattella and
Tedesco, 2021, doi 10.1007/978-3-030-68790-8_10), as pathosnet builds them in PyTorch."""
INTENDED_USE = """\
Research on emotion in speech: comparing methods, corpora and languages, and looking at large amounts of speech as a
whole. The answer is what a listener might call the expression of an utterance, not what its speaker feels."""
OTHER_LICENCES = """\
The data, the pre-trained weights and the word vectors have
licences of their own, which may bind what is made of them."""
LIMITS = """\
- Most corpora of emotional speech are acted, with few speakers and few sentences. On spontaneous speech, other
  microphones, other languages or other groups of people than those of the training data, expect it to do worse.
- The test above says nothing about how evenly it does across gender, age, accent or health.
- Do not decide about people with it: not about hiring, marks, credit, insurance, care, policing or asylum.
- In the European Union, the AI Act (Regulation (EU) 2024/1689) prohibits AI systems that infer people's emotions at the
  workplace and in education, except for medical or safety reasons (article 5(1)(f)). Elsewhere, emotion recognition
  from biometric data, such as a voice, is high-risk (annex III), and people who are exposed to it have to be told
  (article 50(3)).
- A voice is personal data. Record and process it with the speakers' consent."""


def _snippet(name: str, reads_audio: bool, reads_text: bool, dimensional: bool) -> str:
    given = ['"clip.wav"'] if reads_audio else []
    given += ['text="what is said"'] if reads_text else []
    shown = "prediction.dimensions" if dimensional else "prediction.label, prediction.probabilities"
    hint = "  # or its name on the hub" if name == THIS_FOLDER else ""
    return (
        "```python\nfrom pathosnet import PathosNet\n\n"
        f'model = PathosNet.from_pretrained("{name}"){hint}\n'
        f"prediction = model.predict({', '.join(given)})\n"
        f"print({shown})\n```"
    )


def _data(facts: Facts, labels: Sequence[str]) -> str:
    if not facts.corpora:
        return f"Corpora, languages, number of utterances: {UNKNOWN}."
    header = ("corpus", "languages", *labels, "total", "published by", "licence of the data")
    rows = [
        (
            corpus.name,
            ", ".join(corpus.languages) or UNKNOWN,
            *(corpus.counts.get(label, 0) for label in labels),
            corpus.utterances,
            corpus.source or UNKNOWN,
            corpus.licence or UNKNOWN,
        )
        for corpus in facts.corpora
    ]
    note = f"Utterances{' per class' if labels else ''}, of all parts together."
    said = f"{_table(header, rows)}\n\n{note}"
    if facts.earlier:
        before = "; ".join(
            f"{corpus.name} ({corpus.utterances} utterances, {corpus.licence or f'licence {UNKNOWN}'})"
            for corpus in facts.earlier
        )
        said += f"\n\nIt was fine-tuned on these; before that it was trained on: {before}."
    return said


def _test(facts: Facts) -> str:
    said = []
    if facts.split:
        sizes = ", ".join(
            f"{name} {facts.split[name]}" for name in ("train", "validation", "test") if name in facts.split
        )
        said.append(
            f"Split: {facts.split.get('strategy', UNKNOWN)} ({sizes}); {facts.split.get('guarantee', UNKNOWN)}."
        )
        said.append(f"Seen in training: {describe_leak(facts.leak) if facts.leak else UNKNOWN}. Seed: {facts.seed}.")
    else:
        said.append(f"Split, and what the test shared with the training: {UNKNOWN}.")
    if not facts.metrics:
        return "\n".join([*said, "", f"Results: {UNKNOWN}."])
    rows = [(title, _figure(facts.metrics[key])) for key, title in METRICS.items() if key in facts.metrics]
    for key, title in METRICS_BY_LABEL.items():
        of_label = facts.metrics.get(key)
        if isinstance(of_label, Mapping):
            rows += [(f"{title} of {label}", _figure(value)) for label, value in of_label.items()]
    utterances = facts.metrics.get("utterances", UNKNOWN)
    return "\n".join(
        [*said, "", f"On the {utterances} utterances of the test part:", "", _table(("metric", "value"), rows)]
    )


def _parts(backbones: Mapping[str, str], reads_text: bool, facts: Facts) -> str:
    lines = []
    for name, file in backbones.items():
        lines.append(f"- acoustic feature {name}" + (f", pre-trained weights {_with_licence(file)}" if file else ""))
    if reads_text:
        lines.append(f"- word vectors: {', '.join(map(_with_licence, facts.vectors)) or UNKNOWN}")
    return "\n".join(lines)


def _with_licence(file: str) -> str:
    """Adds what the catalogue says about a file, or about one of its names."""
    known = CATALOGUE.get(file) or find_by_file(file)
    return f"{file} (licence: {known.licence})" if known else file


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "–"


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)
