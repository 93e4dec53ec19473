"""``pathosnet evaluate``."""

import json
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from pathosnet.config import Names

if TYPE_CHECKING:
    from pathosnet.evaluation import DimensionMetrics, Metrics

HELP = "Measure a model on a labelled corpus."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet evaluate MODEL CORPUS.csv [options]",
        exit_on_error=False,
        description="Measures a saved model on a labelled corpus.",
    )
    parser.add_argument("run", type=str, help="Folder of a run or a model.")
    parser.add_argument("corpus", type=str, help="CSV file as for training.")
    add_row_arguments(parser)
    parser.add_argument("--without", choices=["text", "audio"], help="Take one of the inputs away from the model.")
    parser.add_argument(
        "--plot",
        type=str,
        help="Draw the confusion matrix, or estimated numbers over the true ones, into this .png or .svg file.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def add_row_arguments(parser: ArgumentParser) -> None:
    """Adds the options that say which rows of a corpus are measured, and what its labels mean."""
    parser.add_argument(
        "--part",
        choices=["auto", "train", "validation", "test", "all"],
        default="auto",
        help="Which rows; auto: the test part of the corpus that the model was trained on, all rows of any other.",
    )
    parser.add_argument("--label", action="append", type=str, help="SPELLING=EMOTION; may be repeated.")
    parser.add_argument("--drop_labels", type=Names, default=Names(), help="Spellings whose rows are left out.")


def run(options: Namespace) -> None:
    """Runs the command."""
    from dataclasses import asdict

    from pathosnet.evaluation import Metrics, check_plot_path
    from pathosnet.experiment import evaluate

    if options.plot:
        check_plot_path(options.plot)
    metrics, what = evaluate(
        options.run,
        options.corpus,
        options.part,
        options.label or (),
        options.drop_labels,
        use_audio=options.without != "audio",
        use_text=options.without != "text",
        progress=not options.json,
        plot=options.plot,
    )
    if options.json:
        print(json.dumps({"what": what, **asdict(metrics)}, ensure_ascii=False))
        return
    print(f"{what}\n{metrics.summary()}\n")
    if isinstance(metrics, Metrics):
        _print_confusions(metrics)
    else:
        _print_dimensions(metrics)


def _print_confusions(metrics: "Metrics") -> None:
    width = max(len(label) for label in metrics.recalls) + 2
    print("true \\ predicted".ljust(width + 8) + "".join(label.rjust(width) for label in metrics.recalls) + "  recall")
    for (label, recall), row in zip(metrics.recalls.items(), metrics.confusion, strict=True):
        shown = "–" if recall is None else f"{recall:.3f}"
        print(label.ljust(width + 8) + "".join(str(count).rjust(width) for count in row) + shown.rjust(8))


def _print_dimensions(metrics: "DimensionMetrics") -> None:
    width = max(len(name) for name in metrics.ccc) + 2
    print("".ljust(width) + "".join(title.rjust(9) for title in ("CCC", "Pearson", "RMSE")))
    for name, rmse in metrics.rmse.items():
        correlations = (metrics.ccc[name], metrics.pearson[name])
        shown = ("–" if value is None else f"{value:.3f}" for value in (*correlations, rmse))
        print(name.ljust(width) + "".join(value.rjust(9) for value in shown))
