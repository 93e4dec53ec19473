"""Options of every kind from YAML, Python and the command line: a value of the right type, or one line."""

import json
from dataclasses import fields

import pytest
from cases import cases, check_message, within_bounds
from commands import error_of
from hypothesis import given
from hypothesis import strategies as st

import pathosnet.experiments.train  # noqa: F401  # what takes seconds to import is no part of a case
from pathosnet.errors import InputError
from pathosnet.experiments.config import TrainConfig
from pathosnet.files import read_yaml

NAMES = [one.name for one in fields(TrainConfig)]
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
    for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from((10**400, -(10**400), 2**63, 0, -1)),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ("1e999", "1" * 5000, "nan", "-0", "0x10", "1_000", "٣", "{a: 1}", '{"a": [}', "[1", "[" * 3000, "none")
    ),
    st.binary(max_size=4),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(max_size=4), st.integers()), inner, max_size=3)
    ),
    max_leaves=6,
)


def read_or_refuse(make, *named: str) -> None:
    with within_bounds():
        try:
            config = make()
        except InputError as error:
            check_message(" ".join(str(error).split()), *named)
        else:
            assert TrainConfig.read(config.to_dict()) == config


@pytest.mark.parametrize("name", NAMES)
@cases(3, many=200)
@given(value=VALUES)
def test_every_option_takes_a_value_or_refuses_it(name, value):
    read_or_refuse(lambda: TrainConfig.read({name: value}))
    read_or_refuse(lambda: TrainConfig(**{name: value}))


@cases(60)
@given(st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=9)), VALUES, min_size=1, max_size=5))
def test_options_together_are_taken_or_refused(values):
    read_or_refuse(lambda: TrainConfig.read(values))


YAML = st.one_of(
    st.text(max_size=60),
    st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=12)), max_size=4).map(
        lambda lines: "\n".join(f"{name}: {value}" for name, value in lines)
    ),
    st.text("&*!|>{}[]:-#'\"%@`?, \n\tab1", max_size=40),
)


@cases(100)
@given(YAML)
def test_any_text_is_options_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "options.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    with within_bounds():
        try:
            given_options = read_yaml(path)
        except InputError as error:
            check_message(" ".join(str(error).split()), str(path))
            return
    read_or_refuse(lambda: TrainConfig.read(given_options))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "label:\n  " + LAUGHS.replace("\n", "\n  "),
        "epochs:\n  " + LAUGHS.replace("\n", "\n  "),
        "text:\n  - " + LAUGHS.replace("\n", "\n    "),
        f"label: {json.dumps('{' + LAUGHS.replace(chr(10), ', ') + 'z: 1}')}\n",
        "- " + LAUGHS.replace("\n", "\n  "),
        "acoustic: &a [*a]\n",
        "label: &a {b: *a}\n",
        "[" * 5_000,
        "a: " * 500,
        "epochs: " + "9" * 100_000,
        "epochs: 1e" + "9" * 100,
        "learning_rate: " + "9" * 400,
        "x" * 300_000,
        "? " * 3000,
        "epochs: 2020-99-99\n",
        "epochs: !!timestamp x\n",
        "epochs: !!int x\n",
        "epochs: !!binary é\n",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_yaml_that_grows_or_never_ends_is_one_line(text, tmp_path, capsys):
    (tmp_path / "corpus.csv").write_text("audio,emotion\n")
    (tmp_path / "evil.yaml").write_text(text, encoding="utf-8")
    with within_bounds():
        said = error_of(
            capsys, "train", tmp_path / "corpus.csv", "--out", tmp_path / "run", "--config", tmp_path / "evil.yaml"
        )
    check_message(said)
