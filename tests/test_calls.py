"""Calls that can be read: what stands behind the third argument has a name."""

import ast
from pathlib import Path

import pathosnet

VARIADIC = {"Group"}
"""Takes any number of the same thing."""
MOST = 4


def test_no_call_has_five_positional_arguments():
    package = Path(pathosnet.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and len(node.args) > MOST and ast.unparse(node.func) not in VARIADIC
    ]
    assert found == []
