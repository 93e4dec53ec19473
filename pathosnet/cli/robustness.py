"""``pathosnet robustness``."""

import math
from contextlib import ExitStack
from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.evaluate import Part
from pathosnet.cli.output import print_json, say, say_written
from pathosnet.errors import InputError
from pathosnet.options import Names, Values


def robustness(
    run: str,
    corpus: Path,
    *,
    wer: Names = Names(),
    snr: Names = Names(),
    gain: Names = Names(),
    telephone: bool = False,
    seeds: Names = Names(("0", "1", "2")),
    part: Part = "auto",
    label: Values = Values(),
    drop_labels: Names = Names(),
    out: Path | None = None,
    overwrite: bool = False,
    plot: Path | None = None,
    workers: int | None = None,
    feature_store: str = "auto",
    accelerator: str = "auto",
    json: bool = False,
) -> None:
    """Measure a model under a recognizer's errors, noise and telephone bandwidth.

    Measures a saved model while its texts hold errors of a speech recognizer, or its recordings hold noise, come at
    another level or through a telephone: one at a time, the other input stays clean. Without --wer, --snr, --gain and
    --telephone, all that the model reads is made worse, by default values.

    Args:
        run: Folder of a run or a model.
        corpus: CSV file as for training.
        wer: Target word error rates, such as 0,0.1,0.2,0.4,0.6: each word is hit with this probability, and is then
            substituted, deleted or followed by an inserted one, each as often, with words of the corpus' own texts in
            that language. The rate that is reached is measured.
        snr: Signal-to-noise ratios of white noise in dB, such as 40,20,10,0.
        gain: Changes of the level in dB, such as -20,-10,10.
        telephone: Through a telephone: 300-3400 Hz, 8 kHz, 8 bits of mu-law.
        seeds: Of errors and noise.
        part: Which rows; auto: the test part of the corpus that the model was trained on, all rows of any other.
        label: SPELLING=EMOTION; may be repeated.
        drop_labels: Spellings whose rows are left out.
        out: Folder to write robustness.csv, robustness.png and robustness.json into.
        overwrite: Replace the folder if it exists.
        plot: Draw the picture into this .png or .svg file.
        workers: Processes that read recordings; as many as suit if not given.
        feature_store: Folder that keeps the features of clean recordings; auto, or none.
        accelerator: Where to compute: auto, cpu, gpu, …
        json: Print JSON.
    """
    from pathosnet.evaluation import check_plot_path
    from pathosnet.experiments.robustness import REPORT_FILE, measure_robustness
    from pathosnet.files import written_aside

    if plot:
        check_plot_path(plot)
    numbers = _numbers(seeds, "seeds")
    if any(seed != int(seed) for seed in numbers):
        raise InputError(f"seeds: expected whole numbers, got {','.join(seeds)}")
    with ExitStack() as stack:
        folder = stack.enter_context(written_aside(out, overwrite, marker=REPORT_FILE)) if out else None
        result = measure_robustness(
            run,
            corpus,
            wer=_numbers(wer, "wer"),
            snr=_numbers(snr, "snr"),
            gain=_numbers(gain, "gain"),
            telephone=telephone,
            seeds=[int(seed) for seed in numbers],
            part=part,
            label=label,
            drop_labels=drop_labels,
            progress=not json,
            workers=workers,
            feature_store=feature_store,
            accelerator=accelerator,
        )
        if folder is not None:
            result.write_into(folder)
    if plot:
        result.plot(plot)
    if json:
        print_json(result.to_dict())
        return
    say(f"{result.what}\n\n{result.table()}\n")
    say_written(out, plot)


def _numbers(values: Names, option: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError as error:
        raise InputError(f"{option}: expected numbers separated by commas, got {','.join(values)!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{option}: expected finite numbers, got {','.join(values)!r}")
    return numbers


COMMAND = Command(robustness)
