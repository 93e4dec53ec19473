"""``pathosnet evaluate``."""

import sys
from pathlib import Path
from typing import Literal

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say, say_written
from pathosnet.errors import InputError
from pathosnet.options import Names, Values
from pathosnet.recognizer.shipped import split_model_and_tables

Part = Literal["auto", "train", "validation", "test", "all"]


def evaluate(
    corpus: Values,
    *,
    part: Part = "auto",
    label: Values = Values(),
    drop_labels: Names = Names(),
    without: Literal["text", "audio"] | None = None,
    by: Names = Names(),
    plot: Path | None = None,
    plot_embeddings: Path | None = None,
    normalize: Literal["none", "speaker", "corpus"] | None = None,
    workers: int | None = None,
    feature_store: str = "auto",
    accelerator: str = "auto",
    json: bool = False,
) -> None:
    """Measure a model on a labeled corpus.

    Measures a saved model on a labeled corpus.

    Args:
        corpus: A model first, if it is not to be the default one: the folder of a run or a model, base, small, or a
            name on the hub. Then a CSV file as for training.
        part: Which rows; auto: the test part of the corpus that the model was trained on, all rows of any other.
        label: SPELLING=EMOTION; may be repeated.
        drop_labels: Spellings whose rows are left out.
        by: Figures for each group, too, with 95 % intervals and tests of their differences: columns of the CSV file,
            such as sex,language,speaker.
        without: Take one of the inputs away from the model.
        plot: Draw the confusion matrix, or estimated numbers over the true ones, into this .png or .svg file.
        plot_embeddings: Draw what the classifier reads in two dimensions (t-SNE), by emotion, speaker and corpus, into
            this .png or .svg file.
        normalize: Adapt the features to the unlabeled recordings of each speaker or corpus that are measured, or do not
            (none); as the run was trained if not given.
        workers: Processes that read recordings; as many as suit if not given.
        feature_store: Folder that keeps the features of recordings; auto, or none.
        accelerator: Where to compute: auto, cpu, gpu, …
        json: Print JSON.
    """
    from dataclasses import asdict

    from pathosnet.evaluation import check_plot_path
    from pathosnet.evaluation.groups import describe_differences, groups_table
    from pathosnet.experiments.evaluate import predict_corpus

    run, tables = split_model_and_tables(corpus)
    if len(tables) != 1:
        raise InputError(f"expected one CSV file to measure on, got {len(tables)}")
    for path in filter(None, (plot, plot_embeddings)):
        check_plot_path(path)
    tested = predict_corpus(
        run,
        tables[0],
        part=part,
        by=by,
        label=label,
        drop_labels=drop_labels,
        use_audio=without != "audio",
        use_text=without != "text",
        progress=not json,
        plot=plot,
        plot_embeddings=plot_embeddings,
        normalize=normalize,
        workers=workers,
        feature_store=feature_store,
        accelerator=accelerator,
    )
    metrics, groups = tested.predictions.measure(), tested.by_group()
    if json:
        grouped = {"groups": [asdict(group) for group in groups]} if by else {}
        print_json({"what": tested.what, **asdict(metrics), **grouped})
        say_written(plot, plot_embeddings, file=sys.stderr)
        return
    blocks = [part.measure().table().text() for _, part in tested.predictions.parts()]
    say("\n\n".join([f"{tested.what}\n{metrics.summary()}", *blocks]))
    if by:
        say(f"\n{groups_table(groups).text()}\n\n{describe_differences(groups)}")
    say_written(plot, plot_embeddings)


COMMAND = Command(evaluate)
