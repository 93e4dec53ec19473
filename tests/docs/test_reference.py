"""The pages made from the code are what the code says."""

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pathosnet.cli import COMMANDS
from pathosnet.experiments.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "tools" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["commands", "training"])
def test_pages_are_up_to_date(page, tool):
    written = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(tool, f"{page}_page")(), "run: python tools/make_reference.py"


def test_every_command_and_every_option_is_described(tool):
    commands, training = tool.commands_page(), tool.training_page()
    assert all(f"\n## {name}\n" in commands for name in COMMANDS)
    assert all(f"\n| `{one.name}` | " in training for one in dataclasses.fields(TrainConfig))
