"""``pathosnet robustness``."""

import json
import math

from jsonargparse import ArgumentParser, Namespace

from pathosnet.cli.evaluate import add_row_arguments
from pathosnet.config import Names
from pathosnet.errors import InputError

HELP = "Measure a model under a recogniser's errors, noise and telephone bandwidth."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet robustness MODEL CORPUS.csv [--wer RATES] [--snr LEVELS] [--telephone] [--out FOLDER]",
        exit_on_error=False,
        description="Measures a saved model while its texts hold errors of a speech recogniser, or its recordings hold "
        "noise or come through a telephone: one at a time, the other input stays clean. Without --wer, --snr and "
        "--telephone, all that the model reads is made worse, by default values.",
    )
    parser.add_argument("run", type=str, help="Folder of a run or a model.")
    parser.add_argument("corpus", type=str, help="CSV file as for training.")
    parser.add_argument(
        "--wer",
        type=Names,
        default=Names(),
        help="Target word error rates, such as 0,0.1,0.2,0.4,0.6: each word is hit with this probability, and is then "
        "substituted, deleted or followed by an inserted one, each as often, with words of the corpus' own texts in "
        "that language. The rate that is reached is measured.",
    )
    parser.add_argument(
        "--snr", type=Names, default=Names(), help="Signal-to-noise ratios of white noise in dB, such as 40,20,10,0."
    )
    parser.add_argument(
        "--telephone", action="store_true", help="Through a telephone: 300-3400 Hz, 8 kHz, 8 bits of mu-law."
    )
    parser.add_argument("--seeds", type=Names, default=Names(("0", "1", "2")), help="Of errors and noise.")
    add_row_arguments(parser)
    parser.add_argument(
        "--out", type=str, help="Folder to write robustness.csv, robustness.png and robustness.json into."
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace the folder if it exists.")
    parser.add_argument("--plot", type=str, help="Draw the picture into this .png or .svg file.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from contextlib import ExitStack

    from pathosnet.evaluation import check_plot_path
    from pathosnet.files import written_aside
    from pathosnet.robustness import REPORT_FILE, measure_robustness

    if options.plot:
        check_plot_path(options.plot)
    seeds = _numbers(options.seeds, "seeds")
    if any(seed != int(seed) for seed in seeds):
        raise InputError(f"seeds: expected whole numbers, got {','.join(options.seeds)}")
    with ExitStack() as stack:
        folder = None
        if options.out:
            folder = stack.enter_context(written_aside(options.out, options.overwrite, marker=REPORT_FILE))
        result = measure_robustness(
            options.run,
            options.corpus,
            _numbers(options.wer, "wer"),
            _numbers(options.snr, "snr"),
            options.telephone,
            [int(seed) for seed in seeds],
            options.part,
            options.label or (),
            options.drop_labels,
            progress=not options.json,
        )
        if folder is not None:
            result.write_into(folder)
    if options.plot:
        result.plot(options.plot)
    if options.json:
        print(json.dumps(result.to_dict(), ensure_ascii=False))
        return
    print(f"{result.what}\n\n{result.table()}")
    if options.out:
        print(f"\nwritten: {options.out}")


def _numbers(values: tuple[str, ...], option: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError as error:
        raise InputError(f"{option}: expected numbers separated by commas, got {','.join(values)!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{option}: expected finite numbers, got {','.join(values)!r}")
    return numbers
