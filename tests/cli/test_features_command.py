import json
import os

import pytest
import torch
from filelock import FileLock

from pathosnet.cli import main
from pathosnet.features.store import FeatureStore, Recipe


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    """Two recordings' features."""
    store = FeatureStore(tmp_path / "store")
    with store.shelf(Recipe("vggish", "features", {"output": "relu"}, weights="f" * 64)).writing() as add:
        add("a", torch.zeros(3, 128))
        add("b", torch.zeros(3, 128))
    return store


def test_stats(store, capsys):
    main(["features", "stats", "--feature-store", str(store.folder)])
    printed = capsys.readouterr().out
    assert "vggish, features: 2 sequences, 0.00 GB, used 0 days ago (output relu; weights ffffffffffff)" in printed
    main(["features", "stats", "--feature-store", str(store.folder), "--json"])
    (shelf,) = json.loads(capsys.readouterr().out)
    assert (shelf["name"], shelf["sequences"]) == ("vggish", 2)


def test_the_user_cache_is_shown_by_default(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path))
    main(["features"])
    assert capsys.readouterr().out == f"{tmp_path / 'features'}: 0.00 GB\n"


def test_prune(store, capsys):
    main(["features", "prune", "--feature-store", str(store.folder), "--unused-days", "1"])
    assert "files removed: 0," in capsys.readouterr().out
    (pack,) = store.folder.rglob("*.safetensors")
    pack.write_bytes(b"no longer")
    main(["features", "prune", "--feature-store", str(store.folder)])
    printed = capsys.readouterr().out
    assert f"damaged: {pack}" in printed
    assert "files removed: 1," in printed


@pytest.mark.parametrize("option", ["--unused-days=-1", "--max-gb=-0.5"])
def test_prune_refuses_what_is_no_limit(store, capsys, option):
    with pytest.raises(SystemExit, match="2"):
        main(["features", "prune", "--feature-store", str(store.folder), option])
    assert "expected 0 or more" in capsys.readouterr().err


def test_prune_leaves_locks_that_are_held(store, capsys):
    shelf = next(store.folder.glob("*/recipe.json")).parent
    held, left = shelf / "held.lock", shelf / "left.lock"
    left.touch()
    with FileLock(held):
        for path in (held, left):
            os.utime(path, (0, 0))
        main(["features", "prune", "--feature-store", str(store.folder), "--unused-days=0"])
        assert held.exists()
        assert not left.exists()
