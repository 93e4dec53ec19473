"""The synthetic corpus that comes with the package (made by tools/make_demo_corpus.py)."""

from pathlib import Path


def demo_manifest() -> Path:
    """Returns the demo corpus' manifest, for ``read_manifest``."""
    return Path(__file__).parent / "demo_speech" / "manifest.csv"
