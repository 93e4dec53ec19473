"""The examples in the docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import pathosnet

MODULES = [
    module.name
    for module in pkgutil.walk_packages(pathosnet.__path__, "pathosnet.")
    if not module.name.endswith("__main__")
]
TESTS = {
    test.name: test
    for module in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(module))
    if test.examples
}


def test_there_are_examples():
    assert len(TESTS) >= 5


@pytest.mark.parametrize("name", TESTS)
def test_docstring_example(name):
    results = doctest.DocTestRunner().run(TESTS[name])
    assert results.attempted
    assert not results.failed
