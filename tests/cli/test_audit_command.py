"""``pathosnet audit``: folds of anybody, and what their parts share."""

import json
import shutil
from pathlib import Path

import pytest
from commands import error_of
from making import make_corpus, write_manifest, write_tone

from pathosnet import cli
from pathosnet.corpora import make_folds, read_manifest
from pathosnet.corpora.audit import audit_folds
from pathosnet.corpora.contents import identify
from pathosnet.corpora.lists import read_part_lists, read_parted_table
from pathosnet.corpora.splits import write_folds
from pathosnet.emotions import PAPER_EMOTIONS


def audited(capsys, *arguments: object) -> tuple[int, dict]:
    """Exit code and JSON of an audit."""
    code = 0
    try:
        cli.main(["audit", *map(str, arguments), "--json"])
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, json.loads(capsys.readouterr().out)


def folds_file(folder: Path, strategy: str) -> Path:
    corpus = identify(read_manifest(make_corpus(folder), PAPER_EMOTIONS))
    folds = {f"fold{i}": fold for i, fold in enumerate(make_folds(corpus, strategy, 2))}
    write_folds(folder / "folds.csv", corpus, folds)
    return folder / "folds.csv"


def test_folds_by_speaker_are_apart_and_random_ones_are_not(tmp_path, capsys):
    code, found = audited(capsys, folds_file(tmp_path / "a", "speaker"))
    assert (code, found["verdict"]) == (0, "apart")
    assert found["verdicts"] == {
        "recordings": "apart",
        "speakers": "apart",
        "sessions": "unknown",
        "sentences": "shared",
    }
    assert [fold["name"] for fold in found["folds"]] == ["fold0", "fold1"]
    code, found = audited(capsys, folds_file(tmp_path / "b", "random"))
    assert (code, found["verdicts"]["speakers"]) == (1, "shared")


def test_what_must_be_apart_is_chosen(tmp_path, capsys):
    path = folds_file(tmp_path, "speaker")
    assert audited(capsys, path, "--apart", "recordings,speakers,sentences")[0] == 1
    assert audited(capsys, path, "--apart", "sessions")[0] == 3
    assert "expected some of recordings, speakers, sessions, sentences" in error_of(
        capsys, "audit", path, "--apart", "voices"
    )


def test_a_copy_under_another_name_is_the_same_recording(tmp_path, capsys):
    for number in range(4):
        write_tone(tmp_path / f"{number}.wav", hertz=200.0 + number)
    shutil.copy(tmp_path / "0.wav", tmp_path / "copy.wav")
    (tmp_path / "train.txt").write_text("0.wav\n1.wav\n")
    (tmp_path / "test.txt").write_text("2.wav\n3.wav\n\ncopy.wav\n")
    lists = ["--train", tmp_path / "train.txt", "--test", tmp_path / "test.txt"]
    code, found = audited(capsys, *lists, "--apart", "recordings")
    shared = found["folds"][0]["shared"][0]
    assert (code, shared["count"], shared["total"]) == (1, 1, 3)
    assert found["verdicts"]["speakers"] == "unknown"


def test_names_of_absent_recordings_say_who_speaks(tmp_path, capsys):
    (tmp_path / "train.txt").write_text("ann/ann_joy_1.wav\nbob/bob_joy_1.wav\n")
    (tmp_path / "test.txt").write_text("/elsewhere/eve/eve_joy_1.wav\nann/ann_joy_2.wav\n")
    lists = ["--train", tmp_path / "train.txt", "--test", tmp_path / "test.txt"]
    code, found = audited(capsys, *lists, "--pattern", "{speaker}_{emotion}_*.wav")
    speakers = next(one for one in found["folds"][0]["shared"] if one["kind"] == "speakers")
    assert (code, speakers["count"], speakers["total"], found["absent"]) == (1, 1, 2, 4)
    assert audited(capsys, *lists, "--apart", "recordings")[0] == 0


def test_json_lines_with_other_names_of_columns_are_read(tmp_path):
    for part, speaker in (("train", "s1"), ("test", "s2")):
        rows = [{"wav": f"{part}{i}.wav", "emo": "Angry", "spk": speaker, "dataset": "x"} for i in range(3)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = audit_folds(read_part_lists({part: [tmp_path / f"{part}.jsonl"] for part in ("train", "test")}))
    assert found.verdict(["recordings", "speakers"]) == "apart"
    assert found.folds[0].classes == {"train": {"angry": 3}, "test": {"angry": 3}}


def test_each_value_of_the_column_fold_is_tested_in_turn(tmp_path):
    rows = [{"audio": f"{i}.wav", "emotion": "joy", "speaker": f"s{i % 3}", "fold": i % 3} for i in range(6)]
    found = audit_folds(read_parted_table(write_manifest(tmp_path / "m.csv", rows)))
    assert [(fold.name, fold.sizes) for fold in found.folds] == [
        (f"fold {i}", {"train": 4, "test": 2}) for i in range(3)
    ]
    assert found.verdict(["speakers"]) == "apart"


def test_one_row_without_a_speaker_makes_speakers_unknown(tmp_path):
    rows = [
        {"audio": f"{i}.wav", "speaker": f"s{i}" if i else "", "split": "test" if i > 2 else "train"} for i in range(6)
    ]
    found = audit_folds(read_parted_table(write_manifest(tmp_path / "m.csv", rows)))
    assert found.verdict(["speakers"]) == "unknown"


def test_classes_that_a_part_lacks_and_recordings_of_two_emotions_are_named(tmp_path, capsys):
    for number in (1, 2, 3):
        write_tone(tmp_path / f"{number}.wav", hertz=200.0 + number)
    shutil.copy(tmp_path / "1.wav", tmp_path / "4.wav")
    labels = {1: ("joy", "train"), 2: ("anger", "train"), 3: ("joy", "test"), 4: ("fear", "train")}
    rows = [
        {"audio": f"{i}.wav", "speaker": part, "emotion": emotion, "split": part}
        for i, (emotion, part) in labels.items()
    ]
    cli.main(["audit", str(write_manifest(tmp_path / "m.csv", rows))])
    said = capsys.readouterr().out
    assert "the test part has no anger, no fear" in said
    assert f"several emotions: {tmp_path / 'm.csv'}, row 2 (joy) and {tmp_path / 'm.csv'}, row 5 (fear)" in said
    assert said.endswith("verdict: recordings and speakers are apart, as they must be\n")


def test_what_cannot_be_audited_says_why(tmp_path, capsys):
    assert "a table of folds, or lists" in error_of(capsys, "audit")
    table = write_manifest(tmp_path / "m.csv", [{"audio": "a.wav", "emotion": "joy"}])
    assert "a column that says train, validation or test" in error_of(capsys, "audit", table)
    assert "expected a list of the training part and" in error_of(capsys, "audit", "--train", table)
    (tmp_path / "bad.jsonl").write_text('{"wav": "a.wav"}\n[1]\n')
    arguments = ["--train", tmp_path / "bad.jsonl", "--test", table]
    assert f"{tmp_path / 'bad.jsonl'}, row 2: expected a JSON object" in error_of(capsys, "audit", *arguments)
    other = write_manifest(tmp_path / "o.csv", [{"words": "a", "split": "train"}, {"words": "b", "split": "test"}])
    assert "expected a column that names recordings" in error_of(capsys, "audit", other)


@pytest.mark.parametrize("pattern", ["{voice}.wav", "{speaker.wav"])
def test_patterns_that_say_nothing_are_refused(tmp_path, capsys, pattern):
    (tmp_path / "l.txt").write_text("a.wav\n")
    lists = ["--train", tmp_path / "l.txt", "--test", tmp_path / "l.txt"]
    assert "--pattern" in error_of(capsys, "audit", *lists, "--pattern", pattern)
