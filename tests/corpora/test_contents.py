"""Recordings that are known by their samples: listed twice, silent, in other formats."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from making import make_corpus, read_rows, tone, write_manifest

from pathosnet.corpora import make_folds, read_manifest, split_corpus
from pathosnet.corpora.contents import identify
from pathosnet.corpora.splits import describe_leak, find_leak
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError


def identified(manifest: Path, **options):
    return identify(read_manifest(manifest, PAPER_EMOTIONS), **options)


def corpus_of(folder: Path, rows: list[tuple[str, str]]) -> Path:
    return write_manifest(folder / "corpus.csv", [{"audio": audio, "emotion": emotion} for audio, emotion in rows])


def test_same_samples_are_the_same_recording_in_every_lossless_format(tmp_path, rng):
    samples = rng.integers(-30_000, 30_000, (9_000, 2)).astype(np.int16)
    for name, subtype in (("a.wav", "PCM_16"), ("b.flac", "PCM_16"), ("c.aiff", "PCM_16"), ("d.wav", "PCM_24")):
        soundfile.write(tmp_path / name, samples.astype(np.int32) << 16, 22_050, subtype=subtype)
    soundfile.write(tmp_path / "rate.wav", samples, 16_000)
    soundfile.write(tmp_path / "other.wav", samples[1:], 22_050)
    soundfile.write(tmp_path / "e.ogg", samples / 32_768, 22_050)
    shutil.copy(tmp_path / "e.ogg", tmp_path / "f.ogg")
    names = ["a.wav", "b.flac", "c.aiff", "d.wav", "e.ogg", "f.ogg", "rate.wav", "other.wav"]
    found = identified(corpus_of(tmp_path, [(name, "joy") for name in names]))
    contents = dict(zip(names, (u.content for u in found.utterances), strict=True))
    assert len({contents[name] for name in names[:4]}) == 1
    assert contents["e.ogg"] == contents["f.ogg"]
    assert len(set(contents.values())) == 4
    assert all(len(content) == 16 for content in contents.values())


def test_recording_with_two_labels_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    path = corpus_of(tmp_path, [("a.wav", "joy"), ("b.wav", "anger")])
    with pytest.raises(InputError) as caught:
        identified(path)
    assert str(caught.value).startswith(
        f"{path}, row 2 and {path}, row 3: are the same recording with different labels"
    )
    assert "happiness and anger" in str(caught.value)


def test_recording_that_is_listed_twice_is_said(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    soundfile.write(tmp_path / "b.wav", tone(hertz=200), 16_000)
    path = corpus_of(tmp_path, [("a.wav", "joy"), ("b.wav", "anger"), ("a.wav", "happy")])
    assert identified(path).notes == (f"{path}, rows 2, 4: are the same recording; folds keep them together",)


@pytest.mark.parametrize("strategy", ["random", "speaker", "script"])
def test_folds_keep_a_recording_in_one_part(tmp_path, strategy):
    rows = read_rows(make_corpus(tmp_path, per_class=10, num_speakers=5, script=lambda row, emotion: row % 5))
    corpus = identified(write_manifest(tmp_path / "corpus.csv", [*rows, *rows[::3]]))
    assert len(corpus) == 54
    for split in make_folds(corpus, strategy, num_folds=3):
        parts = {}
        for name, part in split.parts().items():
            for i in part:
                assert parts.setdefault(corpus.utterances[i].content, name) == name
        assert sum(map(len, split.parts().values())) == 54
        assert "test_recordings" not in find_leak(corpus, split)


def test_without_repetitions_contents_change_no_fold(tmp_path):
    plain = read_manifest(make_corpus(tmp_path), PAPER_EMOTIONS)
    for strategy in ("random", "speaker"):
        assert split_corpus(identify(plain), strategy, num_folds=2) == split_corpus(plain, strategy, num_folds=2)


def test_recordings_in_two_parts_of_a_column_are_counted(tmp_path):
    rows = read_rows(make_corpus(tmp_path, per_class=3))
    parts = ["train", "validation", "test"] * 4
    rows = [{**row, "split": part} for row, part in zip(rows, parts, strict=True)]
    rows.append({**rows[0], "split": "test"})
    corpus = identified(write_manifest(tmp_path / "corpus.csv", rows))
    leak = find_leak(corpus, split_corpus(corpus))
    assert (leak["test_recordings"], leak["test_recordings_in_training"]) == (5, 1)
    assert describe_leak(leak).startswith("1 of 5 test recordings also occur in training; ")


def test_silent_recordings_are_left_out_by_name(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8_000), 16_000)
    opposite = tone()[:, None] * np.array([1.0, -1.0])
    soundfile.write(tmp_path / "cancel.wav", opposite, 16_000)
    rows = [("a.wav", "joy"), ("silent.wav", "anger"), ("cancel.wav", "sad"), ("silent.wav", "joy")]
    path = corpus_of(tmp_path, rows)
    found = identified(path)
    assert [u.row for u in found.utterances] == [2]
    assert found.notes == (f"{path}, rows 3, 5: silent; left out", f"{path}, row 4: channels cancel; left out")
    found = identified(path, drop_useless=False)
    assert len(found) == 4
    assert found.notes == (f"{path}, rows 3, 5: silent", f"{path}, row 4: channels cancel")
    with pytest.raises(InputError, match="every recording is silent"):
        identified(corpus_of(tmp_path, rows[1:]))


def test_many_rows_are_not_all_listed(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8_000), 16_000)
    path = corpus_of(tmp_path, [("a.wav", "joy"), *[("silent.wav", "anger")] * 13])
    assert identified(path).notes == (f"{path}, rows 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 3 more: silent; left out",)


@pytest.mark.parametrize("drop_useless", [True, False])
def test_file_that_cannot_be_read_is_named_with_its_row(tmp_path, drop_useless):
    """Without its content nobody knows which recording it is: it belongs to no part, and must not be lost unseen."""
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    (tmp_path / "b.wav").write_bytes(b"this is text")
    (tmp_path / "c.wav").write_bytes(b"this is text as well")
    path = corpus_of(tmp_path, [("a.wav", "joy"), ("b.wav", "sad"), ("c.wav", "anger")])
    with pytest.raises(InputError) as caught:
        identified(path, drop_useless=drop_useless)
    assert str(caught.value).startswith(f"{path}, row 3: {tmp_path / 'b.wav'}: ")


def test_row_without_a_recording_has_no_content(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    path = write_manifest(
        tmp_path / "corpus.csv",
        [{"audio": "a.wav", "text": "", "emotion": "joy"}, {"audio": "", "text": "words", "emotion": "anger"}],
    )
    found = identify(read_manifest(path, PAPER_EMOTIONS, needs_audio=False))
    assert [bool(utterance.content) for utterance in found.utterances] == [True, False]
