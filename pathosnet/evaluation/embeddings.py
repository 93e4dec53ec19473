"""Picture of what a classifier reads of test utterances, in two dimensions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pathosnet.evaluation.plots import DPI, new_figure
from pathosnet.evaluation.predictions import PredictionTable
from pathosnet.files import to_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 2000
FEWEST_POINTS = 10
"""Utterances below which t-SNE says nothing; the two principal components are drawn."""
PERPLEXITY = 30.0
DIMENSIONS = 50
"""Principal components that t-SNE begins with, as its authors do."""
MOST_NAMED = 12
"""Groups beyond which a legend names none of them."""
MOST_DIMENSIONS = 3
NOT_GIVEN = "(not given)"


def plot_embeddings(tested: PredictionTable, embeddings: np.ndarray, path: str | Path, *, seed: int = 0) -> None:
    """Draws where utterances lie, colored by emotion (or each estimated dimension), by speaker and by corpus.

    What all utterances have in common, such as the only corpus, gets no panel of its own.

    Args:
        tested: utterances with what is known about them.
        embeddings: what the classifier reads of each, ``(utterances, features)``; only their directions count.
        path: ``.png``, ``.svg`` or ``.pdf``.
        seed: of t-SNE, and of the sample of ``MOST_POINTS`` if there are more utterances.
    """
    count = len(embeddings)
    if count > MOST_POINTS:
        chosen = np.sort(np.random.default_rng(seed).choice(count, MOST_POINTS, replace=False))
        tested, embeddings = tested.take(chosen.tolist()), embeddings[chosen]
    points = project(embeddings, seed)
    panels: list[tuple[str, Sequence[str] | np.ndarray]] = []
    target = tested.target
    if target.classes:
        numbers = np.nan_to_num(tested.numbers, nan=-1).astype(int)
        panels.append(("emotion", [target.classes[i] if i >= 0 else NOT_GIVEN for i in numbers]))
    if target.dimensions:
        rated = tested.truth[:, -len(target.dimensions) :]
        panels += list(zip(target.dimensions, rated.T, strict=True))[:MOST_DIMENSIONS]
    columns = {name: tested.column(name) for name in ("speaker", "corpus")}
    panels += [(name, [cell or NOT_GIVEN for cell in cells]) for name, cells in columns.items() if len({*cells}) > 1]
    figure = new_figure(3.7 * len(panels), 4.6)
    for axes, (name, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        if isinstance(values, np.ndarray):
            _draw_numbers(figure, axes, points, values, name=name)
        else:
            others = sorted({*values} - {*target.classes})
            labels = [*target.classes, *others] if name == "emotion" else sorted({*values})
            _draw_groups(axes, points, values, labels, name=name)
    method = "t-SNE" if len(points) >= FEWEST_POINTS else "principal components"
    sample = f", drawn at random from {count}" if count > len(points) else ""
    title = f"{method} of what the classifier reads, {len(points)} test utterances{sample}"
    figure.suptitle(title, fontsize=9, wrap=True)
    figure.savefig(to_path(path), dpi=DPI)


def project(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """Lays vectors out in the plane, so that those of similar directions are neighbors (van der Maaten, 2008).

    Args:
        embeddings: ``(utterances, features)``.
        seed: of t-SNE.

    Returns:
        ``(utterances, 2)``; the two principal components of fewer than ``FEWEST_POINTS``.
    """
    vectors = np.asarray(embeddings, dtype=float)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centered = directions - directions.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centered, full_matrices=False)
    components = (left * sizes)[:, :DIMENSIONS]
    plane = np.zeros((len(components), 2))
    plane[:, : components.shape[1]] = components[:, :2]
    spread = plane[:, 0].std()
    if len(plane) < FEWEST_POINTS or spread < 1e-9:
        return plane
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(plane) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=plane / spread * 1e-4, learning_rate="auto", random_state=seed)
    return np.asarray(tsne.fit_transform(components))


def _draw_groups(axes: "Axes", points: np.ndarray, groups: Sequence[str], names: Sequence[str], *, name: str) -> None:
    from matplotlib import colormaps

    named = len(names) <= MOST_NAMED
    palette = colormaps["tab10" if len(names) <= 10 else "tab20" if named else "hsv"]
    numbers = np.array([names.index(group) for group in groups])
    colors = palette(np.linspace(0, 1, len(names), endpoint=False)) if not named else palette(range(len(names)))
    axes.scatter(points[:, 0], points[:, 1], s=_size(points), color=colors[numbers], alpha=0.75, edgecolors="none")
    count = len({*groups})
    axes.set_title(f"by {name}" if named else f"by {name} ({count})", fontsize=9, parse_math=False)
    if named:
        for i, label in enumerate(names):
            axes.scatter([], [], s=24, color=[colors[i]], label=label.replace("$", r"\$").lstrip("_"))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3, fontsize=8, frameon=False)


def _draw_numbers(figure: "Figure", axes: "Axes", points: np.ndarray, values: np.ndarray, *, name: str) -> None:
    drawn = axes.scatter(
        points[:, 0], points[:, 1], s=_size(points), c=values, cmap="viridis", alpha=0.75, edgecolors="none"
    )
    axes.set_title(f"by {name}", fontsize=9, parse_math=False)
    figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.8, pad=0.02).ax.tick_params(labelsize=8)


def _size(points: np.ndarray) -> float:
    return 22.0 if len(points) <= 300 else 9.0
