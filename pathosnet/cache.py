"""Where this library keeps what can be made or fetched again."""

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "PATHOSNET_CACHE"


def cache_folder(name: str) -> Path:
    """Returns a folder of the user's cache, which need not exist yet.

    It is in ``$PATHOSNET_CACHE``; if that is not set, where the system keeps caches.

    Args:
        name: what is kept there.
    """
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser() / name
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pathosnet" / name
