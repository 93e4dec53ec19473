"""``pathosnet export``."""

from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say
from pathosnet.errors import InputError
from pathosnet.recognizer.shipped import DEFAULT


def export(
    model: str = DEFAULT, *, out: Path, check: bool = False, overwrite: bool = False, json: bool = False
) -> None:
    """Write a model as ONNX, or as PyTorch's exported programs.

    Writes a model as graphs that run without this library: feature sequences to probabilities, a waveform to each
    acoustic feature's sequence, and a JSON file that says how they fit together.

    Args:
        model: Folder of a run or a model, base, small, or a name on the hub.
        out: The network's file; its ending chooses .onnx (pathosnet[onnx]) or .pt2.
        check: Run the files beside the model, and compare.
        overwrite: Replace files that exist.
        json: Print JSON.
    """
    from pathosnet.recognizer import export as exporting
    from pathosnet.recognizer.recognizer import PathosNet

    loaded = PathosNet.from_pretrained(model)
    files = exporting.export(loaded, out, overwrite)
    worst = exporting.check(loaded, out) if check else {}
    if json:
        print_json({"files": [str(file) for file in files], "worst": worst})
    else:
        for file in files:
            shown = f", worst difference {worst[file.name]:.1e}" if file.name in worst else ""
            say(f"{file}: {file.stat().st_size / 1e6:.1f} MB{shown}")
    wrong = [name for name, difference in worst.items() if not difference <= exporting.TOLERANCE]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: differs from the model by more than {exporting.TOLERANCE:g}; do not use it"
        )


COMMAND = Command(export)
