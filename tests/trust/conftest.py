"""``pytest -m nightly`` runs the proofs with 10,000 cases each; an ordinary run takes few, always the same ones."""

from pathlib import Path

import pytest

from pathosnet import PathosNet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("nightly")


@pytest.fixture(scope="session")
def small() -> PathosNet:
    return PathosNet.from_pretrained("small")
