"""Named configurations: the paper's three models, the authors' released shapes, and one that needs no files."""

from pathlib import Path

from pathosnet.errors import InputError

FOLDER = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Returns the names that ``--preset`` takes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset_path(name: str) -> Path:
    """Returns a preset's YAML file.

    Raises:
        InputError: there is no such preset.
    """
    if name not in preset_names():
        raise InputError(f"preset: expected {', '.join(preset_names())}, got {name!r}; own files go with --config")
    return FOLDER / f"{name}.yaml"
