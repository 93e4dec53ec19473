"""Corpora whose file names are described by a pattern: AESI, SES and others."""

import pytest
from importing import imported
from making import touch

from pathosnet.corpora.importing import ImportOptions, import_corpus
from pathosnet.corpora.known import IMPORTERS
from pathosnet.corpora.known.patterns import compile_pattern
from pathosnet.errors import InputError


def test_pattern_names_emotion_and_speaker(folder):
    touch(folder, "anna_ira_01.wav", "anna_alegría_02.wav", "bea_Neutra_03.wav", "bea.wav", "notes.txt")
    rows, notes = imported("mine", folder, pattern="{speaker}_{emotion}_*.wav", label={"ira": "anger"}, language="es")
    assert {name: (row["speaker"], row["emotion"]) for name, row in rows.items()} == {
        "anna_ira_01": ("anna", "anger"),
        "anna_alegría_02": ("anna", "happiness"),
        "bea_Neutra_03": ("bea", "neutral"),
    }
    assert {(row["language"], row["corpus"]) for row in rows.values()} == {("es", "mine")}
    assert notes == ("1 not named like {speaker}_{emotion}_*.wav: bea.wav",)


@pytest.mark.parametrize(("name", "language"), [("aesi", "el"), ("ses", "es")])
def test_papers_corpora_without_a_layout_know_their_language(folder, name, language):
    touch(folder, "s1/anger/001.wav", "s2/λύπη/001.wav", "s2/λύπη/001.txt")
    done = import_corpus(
        IMPORTERS[name], folder, folder / "out.csv", options=ImportOptions(pattern="{speaker}/{emotion}/{script}.wav")
    )
    assert [(u.speaker, u.emotion, u.script, u.language, u.corpus) for u in done.utterances] == [
        ("s1", "anger", "001", language, name),
        ("s2", "sadness", "001", language, name),
    ]
    with pytest.raises(InputError, match="not known; say it with --pattern"):
        imported(name, folder)


@pytest.mark.parametrize(
    ("pattern", "name", "groups"),
    [
        ("{emotion}.wav", "anger.wav", {"emotion": "anger"}),
        ("{emotion}.wav", "anger_wav", None),
        ("{emotion}-*.wav", "hot-anger-1.wav", {"emotion": "hot"}),
        ("{speaker:?}?{emotion:??}*", "m1an_x.wav", {"speaker": "m", "emotion": "an"}),
        ("**/{speaker}/{emotion}*.wav", "a/b/eva/ira.wav", {"speaker": "eva", "emotion": "ira"}),
        ("**/{speaker}/{emotion}*.wav", "eva/ira.wav", {"speaker": "eva", "emotion": "ira"}),
        ("{speaker}/{emotion}.wav", "a/b/ira.wav", None),
        ("{emotion}(1).wav", "ira(1).wav", {"emotion": "ira"}),
    ],
)
def test_patterns(pattern, name, groups):
    match = compile_pattern(pattern).fullmatch(name)
    if pattern == "**/{speaker}/{emotion}*.wav" and match:
        assert match["speaker"] == groups["speaker"]
    else:
        assert (match and match.groupdict()) == groups


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("*.wav", "names no {emotion}"),
        ("{emotion}_{mood}.wav", "got {mood}"),
        ("{emotion}_{emotion}.wav", "each once, got {emotion}"),
        ("{emotion.wav", "expected braces around a name"),
    ],
)
def test_patterns_that_are_refused(pattern, complaint):
    with pytest.raises(InputError) as caught:
        compile_pattern(pattern)
    assert complaint in str(caught.value)


def test_pattern_goes_before_the_importer_of_the_name(folder):
    touch(folder, "x_anger.wav")
    rows, _ = imported("tess", folder, pattern="{speaker}_{emotion}.wav")
    assert rows["x_anger"]["corpus"] == "tess"
