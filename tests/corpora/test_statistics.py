import pytest
from making import write_manifest, write_tone

from pathosnet.corpora.statistics import Durations, corpus_statistics, statistics_tables
from pathosnet.errors import InputError


@pytest.fixture
def manifests(tmp_path):
    """Two corpora, one of them in two languages; clips of 0.5, 0.974, 0.975 and 2 s."""
    lengths = {"a": 0.5, "b": 0.974, "c": 0.975, "d": 2.0}
    for name, seconds in lengths.items():
        write_tone(tmp_path / f"{name}.wav", seconds)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    first = write_manifest(
        tmp_path / "films.csv",
        [
            {"audio": "a.wav", "text": "hi", "emotion": "joy", "speaker": "1", "language": "en"},
            {"audio": "b.wav", "text": "", "emotion": "gioia", "speaker": "1", "language": "it"},
            {"audio": "c.wav", "text": "ciao", "emotion": "paura", "speaker": "2", "language": "it"},
            {"audio": "broken.wav", "text": "", "emotion": "ira", "speaker": "2", "language": "it"},
        ],
    )
    second = write_manifest(
        tmp_path / "mine.csv",
        [
            {"audio": "d.wav", "emotion": "anger", "speaker": "1", "corpus": "ses"},
            {"audio": "d.wav", "emotion": "Ärger", "speaker": "", "corpus": "ses"},
            {"audio": "gone.wav", "emotion": "neutral", "speaker": "1", "corpus": "ses"},
            {"audio": "", "emotion": "neutral", "speaker": "", "corpus": "ses"},
        ],
    )
    return [first, second]


def test_utterances_are_counted_by_corpus_and_language(manifests):
    parts, total = corpus_statistics(manifests)
    assert [(one.corpus, one.language, one.utterances) for one in parts] == [
        ("films", "en", 1),
        ("films", "it", 3),
        ("ses", "", 4),
    ]
    assert list(total.counts) == ["happiness", "anger", "neutral", "fear"]  # the paper's order, then others
    assert [list(one.counts.values()) for one in [*parts, total]] == [
        [1, 0, 0, 0],
        [1, 1, 0, 1],
        [0, 2, 2, 0],
        [2, 3, 2, 1],
    ]
    assert total.utterances == 8


def test_speakers_texts_and_recordings(manifests):
    parts, total = corpus_statistics(manifests)
    assert [one.speakers for one in [*parts, total]] == [1, 2, 1, 3]  # of two corpora, "1" is two people
    assert [one.without_text for one in [*parts, total]] == [0, 2, 4, 6]
    assert [one.without_audio for one in [*parts, total]] == [0, 1, 2, 3]


def test_durations_are_of_the_headers(manifests):
    parts, total = corpus_statistics(manifests)
    assert parts[0].durations == Durations(0.5, 0.5, 0.5, longest=0.5, under_vggish=1)
    film, ses = parts[1].durations, parts[2].durations
    assert film.total == pytest.approx(1.949)
    assert (film.shortest, film.longest, film.under_vggish) == (0.974, 0.975, 1)  # 0.975 s are enough
    assert film.mean == pytest.approx(0.9745)
    assert ses == Durations(4.0, 2.0, 2.0, longest=2.0, under_vggish=0)
    assert total.durations.under_vggish == 2
    assert total.durations.total == pytest.approx(6.449)


def test_tables_for_a_person(manifests):
    lines = statistics_tables(*corpus_statistics(manifests)).splitlines()
    assert lines[0].split() == ["corpus", "language", "happiness", "anger", "neutral", "fear", "utterances"]
    assert lines[2].split() == ["films", "it", "1", "1", "0", "1", "3"]
    assert lines[4].split() == ["total", "2", "3", "2", "1", "8"]
    assert lines[8].split() == ["films", "it", "0.00", "0.97", "0.97", "0.97", "1", "2", "2", "1"]
    assert len({len(line) for line in lines[:5]}) == 1  # numbers end in the same columns


def test_corpus_of_text_alone_has_no_durations(tmp_path):
    path = write_manifest(tmp_path / "t.csv", [{"text": "x", "emotion": "joy"}, {"text": "y", "emotion": "sad"}])
    (one,), _ = corpus_statistics([path])
    assert (one.durations, one.without_audio, one.speakers) == (None, 2, 0)
    assert statistics_tables([one], one).splitlines()[-2].split() == ["t", *"–––––", "–", "0", "2"]


def test_labels_are_mapped_and_dropped(manifests):
    _, total = corpus_statistics(manifests, {"paura": "sadness"}, ["neutral"])
    assert total.counts == {"happiness": 2, "anger": 3, "sadness": 1}


def test_manifest_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        corpus_statistics([tmp_path / "absent.csv"])
