"""Figures of groups of people for a model's card and for the report of a cross-validation."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.evaluation.groups import GroupFigures, measure_groups
from pathosnet.evaluation.predictions import PredictionTable

COLUMNS = ("language", "sex", "gender")
"""Columns of manifests that are looked at without being asked for."""
MOST = 20
"""Groups of a column beyond which nobody reads its table."""


def card_groups(table: PredictionTable, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Returns the figures of groups in the test part as JSON values under ``groups``; nothing if there are none.

    Args:
        table: what a model said of the utterances.
        utterances: in the same order.
    """
    groups = _measure(table, utterances, COLUMNS)
    return {"groups": [{**asdict(one), "interval": list(one.interval)} for one in groups]} if groups else {}


def report_groups(table: PredictionTable, corpus: Corpus) -> list[GroupFigures]:
    """Returns the figures of groups, speakers as well, over all folds of the first seed.

    Args:
        table: of all folds and seeds.
        corpus: that was tested.
    """
    seed = table.rows[0]["seed"]
    first = table.where(lambda row: row["seed"] == seed)
    known = {(str(u.manifest.resolve()), str(u.row)): u for u in corpus.utterances}
    utterances = [known.get((row["manifest"], row["row"])) for row in first.rows]
    found = [utterance for utterance in utterances if utterance is not None]
    return _measure(first, found, (*COLUMNS, "speaker")) if len(found) == len(first) else []


def _measure(table: PredictionTable, utterances: Sequence[Utterance], names: Iterable[str]) -> list[GroupFigures]:
    columns = {name: [utterance.cell(name) for utterance in utterances] for name in names}
    return measure_groups(table, {name: cells for name, cells in columns.items() if 1 < len(set(cells)) <= MOST})
