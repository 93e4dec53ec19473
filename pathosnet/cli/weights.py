"""``pathosnet weights``: list, get, add, convert, verify."""

from pathlib import Path
from typing import Literal

from pathosnet.cli.arguments import Command, Group
from pathosnet.cli.output import print_json, say
from pathosnet.errors import InputError
from pathosnet.options import Values


def list_(*, json: bool = False) -> None:
    """List the files that are known (the default).

    Lists the files that are known: what they are good for, who publishes them, under which license.

    Args:
        json: Print JSON, with addresses and hashes.
    """
    from dataclasses import asdict

    from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
    from pathosnet.features.acoustic.encoders.opening import is_fetched
    from pathosnet.weights.catalogue import CATALOGUE, weights_folder

    if json:
        files = [
            {**asdict(known), "path": str(known.path), "here": known.path.is_file()} for known in CATALOGUE.values()
        ]
        print_json(files + [{**asdict(known), "here": is_fetched(known)} for known in KNOWN_ENCODERS.values()])
        return
    say(f"* downloaded, in {weights_folder()} or in the Hugging Face hub's cache")
    for known in CATALOGUE.values():
        say(f"{'*' if known.path.is_file() else ' '} {known.name}: {known.purpose}")
        say(f"      {known.url or f'by hand: {known.source}'}; {known.licence}")
    for encoder in KNOWN_ENCODERS.values():
        mark = "*" if is_fetched(encoder) else " "
        say(f"{mark} {encoder.name}: speech encoder, --acoustic {encoder.name}; {encoder.about}")
        say(f"      https://huggingface.co/{encoder.repository}, {encoder.size} MB; {encoder.license}")


def get(name: Values, *, file: Path | None = None, overwrite: bool = False, progress: bool = True) -> None:
    """Download files, or go on downloading them.

    Downloads files into the cache ($PATHOSNET_CACHE, else the user's cache folder) and checks them.

    Args:
        name: One that `pathosnet weights list` shows.
        file: Take this copy of yours, as it was published, instead of downloading.
        overwrite: Get it again if it is there.
        progress: Show progress bars.
    """
    from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
    from pathosnet.weights.catalogue import find_known
    from pathosnet.weights.download import get_known_file
    from pathosnet.weights.encoders import get_encoder

    encoders = [one for one in name if one in KNOWN_ENCODERS]
    files = [find_known(one) for one in name if one not in encoders]
    if file and encoders:
        raise InputError(f"--file: {encoders[0]} has several files; use: pathosnet weights add {encoders[0]} FOLDER")
    if file and len(files) > 1:
        raise InputError(f"--file: expected one name for one file, got {', '.join(name)}")
    for one in encoders:
        say(f"{one}: {get_encoder(one)}; license: {KNOWN_ENCODERS[one].license}")
    for known in files:
        path = get_known_file(known, file, overwrite=overwrite, progress=progress)
        say(f"{known.name}: {path}; license: {known.licence}")


def add(name: str, folder: Path, *, overwrite: bool = False) -> None:
    """Put a speech encoder's folder where its download would go.

    Puts a Hugging Face folder that you have into the cache, where --acoustic NAME finds it.

    Args:
        name: A speech encoder that `pathosnet weights list` shows.
        folder: With config.json and model.safetensors.
        overwrite: Replace it if it is there.
    """
    from pathosnet.weights.encoders import add_encoder

    say(f"{name}: {add_encoder(name, folder, overwrite=overwrite)}")


def convert(source: str, *, kind: Literal["vggish", "ghostvlad"], out: Path, overwrite: bool = False) -> None:
    """Write weights as safetensors.

    Writes VGGish or Thin ResNet-34 + GhostVLAD as safetensors, which --vggish and --ghostvlad take.

    Args:
        source: A .pth, .h5 or .safetensors file, or a known file's name.
        kind: What it holds.
        out: File to write, ending in .safetensors.
        overwrite: Replace the file if it exists.
    """
    from pathosnet.weights.catalogue import file_or_known
    from pathosnet.weights.inspection import convert

    say(f"{out}: {convert(file_or_known(source), kind, out, overwrite=overwrite)}")


def verify(file: Values) -> None:
    """Check files by hash, and say what they are.

    Compares files' hashes with what is known about them, reads them, and says what they are.

    Args:
        file: Files, or names of downloaded ones.
    """
    from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
    from pathosnet.weights.catalogue import file_or_known
    from pathosnet.weights.download import check_file
    from pathosnet.weights.encoders import verify_encoder
    from pathosnet.weights.inspection import describe_file

    for given in file:
        if given in KNOWN_ENCODERS and not Path(given).exists():
            say(f"{given}: {verify_encoder(given)}")
            continue
        path = file_or_known(given)
        say(f"{path}: {check_file(path)}; {describe_file(path)}")


COMMAND = Group(
    "weights",
    "Get, convert and check pre-trained weights and word vectors.\n\n"
    "Weights and word vectors that other people publish: where they are, and whether yours are the same. Options that "
    "take such a file also take its name: --vggish vggish, --text it=muse-it.",
    Command(list_),
    Command(get, interrupted="what has come of a download is kept, the same command goes on from there"),
    Command(add),
    Command(convert),
    Command(verify),
)
