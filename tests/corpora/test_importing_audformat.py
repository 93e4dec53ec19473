"""Databases in the format of audformat, honest and hostile ones."""

from pathlib import Path

import pytest
from importing import imported
from making import touch, write_tone

from pathosnet.errors import InputError


@pytest.fixture
def audformat():
    return pytest.importorskip("audformat", reason="audformat is not installed")


def write_audformat(audformat, folder: Path):
    import pandas

    db = audformat.Database("mydb", source="here", languages=["deu"])
    db.schemes["emotion"] = audformat.Scheme(labels=["anger", "joy", "fear"])
    db.schemes["speaker"] = audformat.Scheme(labels={3: {"gender": "male", "language": "ita"}, 8: {}})
    db.schemes["transcription"] = audformat.Scheme(labels={"a01": "Der Lappen.", "b02": "Sie gehen."})
    db.splits["train"] = audformat.Split(audformat.define.SplitType.TRAIN)
    db.splits["dev"] = audformat.Split(audformat.define.SplitType.DEVELOP)
    files = touch(folder, "wav/a.wav", "wav/b.wav", "wav/c.wav") and ["wav/a.wav", "wav/b.wav", "wav/c.wav"]
    for name, part in {"train": files[:1], "dev": files[1:]}.items():
        table = db[f"emotion.{name}"] = audformat.Table(audformat.filewise_index(part), split_id=name)
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set({"train": ["anger"], "dev": ["joy", None]}[name])
    table = db["files"] = audformat.Table(audformat.filewise_index(files))
    for column, values in {"speaker": [3, 8, 8], "transcription": ["a01", "b02", "a01"]}.items():
        table[column] = audformat.Column(scheme_id=column)
        table[column].set(pandas.Series(values, index=table.index).values)
    return db


def test_audformat_database(audformat, folder):
    write_audformat(audformat, folder).save(str(folder))
    rows, notes = imported("audformat", folder)
    assert rows["a"] == {
        "audio": "corpus/wav/a.wav",
        "text": "Der Lappen.",
        "emotion": "anger",
        "speaker": "3",
        "language": "de",  # of the database, not the speaker's
        "corpus": "mydb",
        "split": "train",
    }
    assert (rows["b"]["emotion"], rows["b"]["split"], rows["b"]["text"]) == ("happiness", "validation", "Sie gehen.")
    assert notes == ("1 without an emotion: wav/c.wav",)
    assert {row["language"] for row in imported("audformat", folder, language="nl")[0].values()} == {"nl"}


def test_audformat_segments_must_be_whole_recordings(audformat, folder):
    db = audformat.Database("parts")
    db.schemes["emotion"] = audformat.Scheme("str")
    write_tone(folder / "a.wav", 1.0)
    write_tone(folder / "b.wav", 1.0)
    index = audformat.segmented_index(
        ["a.wav", "a.wav", "b.wav", "gone.wav", "broken.wav"], ["0s", "0.5s", "0s", "0s", "0s"], ["0.5s", *["1s"] * 4]
    )
    touch(folder, "broken.wav")
    db["segments"] = audformat.Table(index)
    db["segments"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["segments"]["emotion"].set(["anger", "anger", "Ira", "anger", "fear"])
    db.save(str(folder))
    rows, notes = imported("audformat", folder)
    # training will say what is wrong with the broken one
    assert [(name, row["emotion"]) for name, row in rows.items()] == [("b", "anger"), ("broken", "fear")]
    assert notes[0].startswith("2 parts of a longer recording, left out (cut the recordings first): a.wav from ")
    assert notes[1] == "1 in the tables, but not in the folder: gone.wav"


def test_audformat_raters_that_disagree(audformat, folder):
    db = write_audformat(audformat, folder)
    table = db["emotion.rater2"] = audformat.Table(audformat.filewise_index(["wav/a.wav"]))
    table["emotion"] = audformat.Column(scheme_id="emotion")
    table["emotion"].set(["fear"])
    db.save(str(folder))
    with pytest.raises(InputError, match=r"cannot be told .* choose a --table out of .*emotion\.rater2"):
        imported("audformat", folder)
    assert imported("audformat", folder, table="emotion.rater2")[0]["a"]["emotion"] == "fear"


def test_audformat_column_that_is_not_there(audformat, folder):
    write_audformat(audformat, folder).save(str(folder))
    with pytest.raises(InputError, match="has no column 'mood'; choose one of its schemes with --column: emotion"):
        imported("audformat", folder, column="mood")


def test_audformat_header_that_is_broken(audformat, folder):
    (folder / "db.yaml").write_text("name: [")
    with pytest.raises(InputError, match="cannot be read as an audformat database"):
        imported("audformat", folder)


def test_audformat_tags_of_python_objects_are_not_run(audformat, folder):
    (folder / "db.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{folder / 'mark'}']\n")
    with pytest.raises(InputError, match=r"db\.yaml: cannot be read as an audformat database .*python/object/apply"):
        imported("audformat", folder)
    assert not (folder / "mark").exists()


def test_audformat_pickled_tables_are_not_read(audformat, folder):
    db = write_audformat(audformat, folder)
    db.save(str(folder), storage_format="csv")
    (folder / "db.files.pkl").write_bytes(b"")
    with pytest.raises(InputError, match=r"db\.files\.pkl: is a pickled table, which could run code"):
        imported("audformat", folder)
    (folder / "db.files.pkl").unlink()
    assert imported("audformat", folder)[0]["a"]["emotion"] == "anger"


@pytest.mark.parametrize("part", ["tables", "misc_tables"])
@pytest.mark.parametrize("name", ["x/../../elsewhere", "x\\elsewhere"])
def test_audformat_tables_are_in_the_folder(audformat, folder, name, part):
    (folder / "db.yaml").write_text(f"name: mydb\n{part}:\n  '{name}': {{}}\n")
    with pytest.raises(InputError, match=r"db\.yaml: expected tables in this folder, got 'x"):
        imported("audformat", folder)


def test_audformat_is_asked_for_if_it_is_missing(folder, monkeypatch):
    (folder / "db.yaml").write_text("name: x")
    monkeypatch.setitem(__import__("sys").modules, "audformat", None)
    with pytest.raises(InputError, match=r"pip install 'pathosnet\[audformat\]'"):
        imported("audformat", folder)
