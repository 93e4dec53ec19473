"""The model card: a README that says what a model was made of, how it did, and what it is not for."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathosnet.targets import Target
from pathosnet.weights.catalogue import CATALOGUE, find_by_file

CARD_FILE = "README.md"
TEMPLATE = "card.md.jinja"
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

GROUP_FIGURES = {"uar": ("UAR", "unweighted average recall"), "mean_ccc": ("CCC", "mean concordance")}


@dataclass(frozen=True)
class CorpusFacts:
    """Facts about one corpus that a model was trained on.

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
    """Facts about how a model was made; they travel in ``config.json``. By default, nothing is known.

    Args:
        corpora: what it was trained, validated and tested on.
        split: ``strategy``, ``guarantee``, ``seen_in_training`` (the leak in words), and the sizes of the parts.
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
            metrics=dict(value["metrics"]),
            vectors=tuple(map(str, value["vectors"])),
            seed=None if seed is None else int(seed),
            earlier=_corpora_of(value.get("earlier", ())),
        )


def _corpora_of(values: Sequence[Mapping[str, Any]]) -> tuple[CorpusFacts, ...]:
    return tuple(
        CorpusFacts(
            str(one["name"]),
            tuple(map(str, one["languages"])),
            {str(label): int(count) for label, count in dict(one["counts"]).items()},
            utterances=int(one["utterances"]),
            source=str(one["source"]),
            licence=str(one["licence"]),
        )
        for one in values
    )


def write_card(
    folder: Path,
    target: Target,
    backbones: Mapping[str, str],
    *,
    reads_text: bool,
    facts: Facts,
    layer_weights: Mapping[str, Sequence[float]] | None = None,
    name: str = THIS_FOLDER,
    license: str = "other",
) -> None:
    """Writes ``README.md`` into a model's folder.

    Args:
        folder: the model's.
        target: meaning of its outputs.
        backbones: acoustic feature → the file of its pre-trained weights, or an empty string.
        reads_text: whether it has a text branch.
        facts: about its making.
        layer_weights: acoustic feature → the weight of each layer of its encoder, where they were learned.
        name: what ``from_pretrained`` is to be called with.
        license: of the weights, as the hub spells it.
    """
    import yaml
    from jinja2 import Environment, PackageLoader, StrictUndefined

    header = {
        "language": facts.languages,
        "license": license,
        "library_name": "pathosnet",
        "pipeline_tag": "audio-classification" if backbones else "text-classification",
        "tags": [
            "speech-emotion-recognition",
            "emotion-recognition",
            *(["multimodal"] if backbones and reads_text else []),
        ],
        "metrics": ["accuracy", "recall", "f1"] if target.classes else [],
    }
    environment = Environment(
        loader=PackageLoader("pathosnet.recognizer"),
        undefined=StrictUndefined,
        finalize=escape_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    card = environment.get_template(TEMPLATE).render(
        header=Raw(yaml.safe_dump({k: v for k, v in header.items() if v}, sort_keys=False, allow_unicode=True)),
        target=target,
        backbones={feature: with_licence(file) if file else "" for feature, file in backbones.items()},
        vectors=[with_licence(file) for file in facts.vectors],
        reads_text=reads_text,
        facts=facts,
        seen=facts.split.get("seen_in_training") or _describe_leak(facts.leak),
        figures=_figures(facts.metrics),
        groups=_groups(facts.metrics.get("groups", ())),
        figures_of_groups=" or ".join(_group_figures(facts.metrics.get("groups", ()))),
        layer_weights={
            feature: ", ".join(f"{layer}: {weight:.2f}" for layer, weight in enumerate(weights))
            for feature, weights in (layer_weights or {}).items()
        },
        name=name,
        quoted_name=Raw(json.dumps(name, ensure_ascii=False)),
        is_folder=name == THIS_FOLDER,
        license=license,
        UNKNOWN=UNKNOWN,
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


class Raw(str):
    """Text that is Markdown, or YAML, already."""


def escape_markdown(value: object) -> object:
    r"""Makes a value text that Markdown shows as it is: no markup, no HTML, no other cell, one line.

    >>> escape_markdown("a|b <i>*c*</i>")
    'a/b &lt;i&gt;\\*c\\*&lt;/i&gt;'
    """
    if isinstance(value, Raw):
        return value
    text = re.sub(r"([\\`*\[\]])", r"\\\1", re.sub(r"\s*[\r\n]+\s*", " ", str(value)).replace("|", "/"))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _figures(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names the figures of the test part."""
    rows = [(title, _figure(metrics[key])) for key, title in METRICS.items() if key in metrics]
    for key, title in METRICS_BY_LABEL.items():
        of_label = metrics.get(key)
        if isinstance(of_label, Mapping):
            rows += [(f"{title} of {label}", _figure(value)) for label, value in of_label.items()]
    return rows


def _groups(groups: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Names the figures of groups of people: column, group, utterances, figure, interval, whether it differs."""
    several = len(_group_figures(groups)) > 1
    return [
        (
            *(str(one["column"]), str(one["group"]), str(one["utterances"])),
            (f"{GROUP_FIGURES[one['figure']][0]} " if several else "") + _figure(one["value"]),
            " to ".join(map(_figure, one["interval"])),
            "yes" if one["p_value"] is not None and one["p_value"] < 0.05 else "no",
        )
        for one in groups
    ]


def _group_figures(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names which figures of groups there are."""
    return [title for name, (_, title) in GROUP_FIGURES.items() if any(one.get("figure") == name for one in groups)]


def _describe_leak(leak: Mapping[str, int]) -> str:
    """Describes the leak of a model whose facts do not describe it yet: ``test_x`` and ``test_x_in_training``."""
    kinds = [name.removesuffix("_in_training") for name in leak if name.endswith("_in_training")]
    return "; ".join(
        f"{leak[f'{kind}_in_training']} of {leak[kind]} {kind.replace('_', ' ')} also occur in training"
        for kind in kinds
        if leak.get(kind)
    )


def with_licence(file: str) -> str:
    """Adds what the catalogue says about a file, or about one of its names."""
    known = CATALOGUE.get(file) or find_by_file(file)
    return f"{file} (licence: {known.licence})" if known else file


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "–"
