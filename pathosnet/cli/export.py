"""``pathosnet export``."""

import json

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError

HELP = "Write a model as ONNX, or as PyTorch's exported programs."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet export MODEL --out model.onnx|model.pt2 [--check] [options]",
        exit_on_error=False,
        description="Writes a model as graphs that run without this library: feature sequences to probabilities, a "
        "waveform to each acoustic feature's sequence, and a JSON file that says how they fit together.",
    )
    parser.add_argument("model", type=str, help="Folder of a run or a model.")
    parser.add_argument(
        "--out", type=str, required=True, help="The network's file; its ending chooses .onnx (pathosnet[onnx]) or .pt2."
    )
    parser.add_argument("--check", action="store_true", help="Run the files beside the model, and compare.")
    parser.add_argument("--overwrite", action="store_true", help="Replace files that exist.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from pathosnet.export import TOLERANCE, check, export
    from pathosnet.recognizer import PathosNet

    model = PathosNet.from_pretrained(options.model)
    files = export(model, options.out, options.overwrite)
    worst = check(model, options.out) if options.check else {}
    if options.json:
        print(json.dumps({"files": [str(file) for file in files], "worst": worst}, ensure_ascii=False))
    else:
        for file in files:
            shown = f", worst difference {worst[file.name]:.1e}" if file.name in worst else ""
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB{shown}")
    wrong = [name for name, difference in worst.items() if not difference <= TOLERANCE]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: differs from the model by more than {TOLERANCE:g}; do not use it")
