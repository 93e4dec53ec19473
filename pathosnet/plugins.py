"""Modules of the user's own, which register features when they are imported."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from pathosnet.errors import InputError

_loaded: dict[str, None] = {}


def load_plugins(names: Iterable[str]) -> None:
    """Imports plug-ins, each once.

    Args:
        names: files (``mine.py``) or modules (``package.mine``); modules in the current folder are found, too.

    Raises:
        InputError: one cannot be imported.
    """
    for name in names:
        is_file = name.endswith(".py")
        name = str(Path(name).resolve()) if is_file else name
        if name in _loaded:
            continue
        try:
            _import_file(Path(name)) if is_file else _import_module(name)
        except InputError:
            raise
        except Exception as error:  # it is somebody's program: anything can go wrong
            raise InputError(f"--plugin {name}: cannot be imported ({type(error).__name__}: {error})") from error
        _loaded[name] = None


def loaded_plugins() -> tuple[str, ...]:
    """Returns what was loaded, for another process to load it, too."""
    return tuple(_loaded)


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"--plugin {path}: no such file")
    name = f"pathosnet_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # it ends with .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes are pickled by the name of their module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _import_module(name: str) -> None:
    if "" not in sys.path:
        sys.path.insert(0, "")
    importlib.import_module(name)
