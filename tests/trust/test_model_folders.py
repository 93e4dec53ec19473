"""A model's folder with any value of its configuration changed, or its weights damaged: an answer, or one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import cases, check_answer, check_message, within_bounds
from hypothesis import given
from hypothesis import strategies as st
from making import tone, write_vectors

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.features import HashedWords, TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.recognizer.card import CorpusFacts, Facts
from pathosnet.recognizer.shipped import shipped_folder
from pathosnet.targets import DimensionTarget

CLIP = tone(0.6) + tone(0.6, 1300.0)
NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1)
FACTS = Facts(
    (CorpusFacts("a", ("it",), {"anger": 3}, 3, "x", "y"),),
    {"strategy": "random", "train": 2, "guarantee": "none"},
    {"test_speakers": 1, "test_speakers_in_training": 1},
    metrics={"uar": 0.5, "recalls": {"anger": 0.5}, "utterances": 3},
    vectors=("it.vec",),
    seed=1,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    """Models of three kinds."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    words = TextEmbedder(
        {"it": WordVectors.load(write_vectors(folder / "it.vec", ["ciao", "mondo"], 8)), "*": HashedWords(8)}
    )
    network = EmotionNetwork({"logmel": 64, "text": 8}, 4, options=NARROW)
    PathosNet(network, {"logmel": LogMelExtractor(1)}, words, facts=FACTS).save_pretrained(folder / "both")
    network = EmotionNetwork({"logmel": 64}, 2, options=NARROW)
    PathosNet(network, {"logmel": LogMelExtractor(1)}, None, labels=DimensionTarget(("valence", "x"))).save_pretrained(
        folder / "dimensions"
    )
    shutil.copytree(shipped_folder("small"), folder / "small")
    return {path.name: path for path in folder.iterdir() if path.is_dir()}


def places(value, before=()):
    """Yields the way to every value in a configuration."""
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*before, key))


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 70),
        st.sampled_from((10**9, 10**30, -(10**400), 1e300, 1e-300, -0.0, float("nan"), float("inf"), 0.5, 5e-324)),
        st.text(max_size=6),
        st.sampled_from(
            ("../x", "/etc/passwd", "\0", "logmel", "text", "a/b", "linear", "attention", "mlp", "contextual", "it")
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(("set", "set", "set", "drop", "add", "swap")), VALUES),
    min_size=1,
    max_size=2,
)


def changed(config, changes):
    """A configuration with some of its values changed, left out, or others added."""
    config = json.loads(json.dumps(config))
    for number, how, value in changes:
        every = list(places(config))
        where = every[number % len(every)]
        if not where:
            continue
        part = config
        for key in where[:-1]:
            part = part[key]
        if how == "set":
            part[where[-1]] = value
        elif how == "drop":
            del part[where[-1]]
        elif how == "swap":
            other = every[number // 7 % len(every)]
            found = config
            for key in other:
                found = found[key]
            part[where[-1]] = json.loads(json.dumps(found))
        elif isinstance(part, dict):
            part[str(value)[:9]] = value
        else:
            part.append(value)
    return config


def load_or_refuse(folder: Path) -> None:
    with within_bounds():
        try:
            model = PathosNet.from_pretrained(folder)
            answer = model.predict(CLIP, "ciao mondo" if model.text else None, sample_rate=16_000)
        except InputError as error:
            check_message(" ".join(str(error).split()))
            return
    if answer.dimensions:
        assert np.isfinite(list(answer.dimensions.values())).all()
    else:
        check_answer(answer)


@pytest.mark.parametrize("kind", ["both", "dimensions", "small"])
@cases(25, many=4_000)
@given(changes=CHANGES)
def test_any_change_of_the_configuration_is_loaded_or_refused(whole, kind, changes):
    path = whole[kind] / "config.json"
    before = path.read_text()
    try:
        path.write_text(json.dumps(changed(json.loads(before), changes)))
        load_or_refuse(whole[kind])
    finally:
        path.write_text(before)


@pytest.mark.parametrize("kind", ["both"])
@pytest.mark.parametrize("value", [None, "x", [], 1e-300], ids=str)
def test_every_value_of_the_configuration_changed_is_loaded_or_refused(whole, kind, value):
    path = whole[kind] / "config.json"
    before = path.read_text()
    try:
        for where in list(places(json.loads(before)))[1:]:
            config = part = json.loads(before)
            for key in where[:-1]:
                part = part[key]
            part[where[-1]] = value
            path.write_text(json.dumps(config))
            load_or_refuse(whole[kind])
    finally:
        path.write_text(before)


@cases(40)
@given(st.data())
def test_damaged_files_of_a_model_are_loaded_or_refused(whole, data):
    names = ["model.safetensors", "text/0.safetensors", "text/0.words.txt", "config.json"]
    path = whole["both"] / data.draw(st.sampled_from(names))
    before = path.read_bytes()
    content = bytearray(before)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, min(len(content), data.draw(st.sampled_from((8, 300, 10**6)))) - 1)))
        how = data.draw(st.sampled_from(("flip", "set", "cut out", "cut off", "put in")))
        if how == "flip" and content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut off":
            del content[at:]
        elif how == "cut out":
            del content[at : at + data.draw(st.integers(1, 50))]
        elif how == "put in":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        else:
            content[at : at + 4] = data.draw(
                st.sampled_from((b"\xff" * 4, bytes(4), b"\0\0\xc0\x7f", b"\xff\xff\x7f\x7f"))
            )
    try:
        path.write_bytes(content)
        load_or_refuse(whole["both"])
    finally:
        path.write_bytes(before)
