"""What all tests share: seeds, warnings as errors, and the folder of oracles and real data beside the checkout."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; more threads than cores slow each other down
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported; tests that serve models switch it off

import hypothesis
import numpy as np
import pytest
import torch

QUIET = {"deadline": None, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    # Before the proofs in tests/trust are imported, which read from it how many cases they run.
    hypothesis.settings.register_profile("nightly", print_blob=True, **QUIET)
    hypothesis.settings.register_profile("few", derandomize=True, **QUIET)
    hypothesis.settings.load_profile("nightly" if "nightly" in config.option.markexpr else "few")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in a process a core; chosen tests in one, since each process imports PyTorch anew."""
    everything = {Path(__file__).resolve().parent, config.rootpath.resolve()}
    paths = {Path(argument.partition("::")[0]).resolve() for argument in config.args}  # testpaths if none are given
    return min(os.cpu_count() or 1, 8) if paths <= everything else 0


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither see nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHOSNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a server the hub, with an empty cache."""
    from huggingface_hub import constants

    def to(url: str, offline: bool = False) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.delenv("HF_TOKEN", raising=False)

    return to


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of outputs of the original Keras code."""
    return _shared_folder("oracles")


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of files that people met."""
    return _shared_folder("cases")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real speech and word vectors."""
    return _shared_folder("data")


def _shared_folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, which is absent")
    return folder
