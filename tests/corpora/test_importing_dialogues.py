"""Look-alike trees of IEMOCAP and MELD, with the quirks of the real ones."""

from collections import Counter

import pytest
from importing import imported
from making import read_rows, touch, write_iemocap, write_meld

from pathosnet.corpora.importing import ImportOptions, import_corpus
from pathosnet.corpora.known import IMPORTERS
from pathosnet.errors import InputError

# IEMOCAP


def test_iemocap_keeps_the_papers_classes(folder):
    rows, notes = imported("iemocap", write_iemocap(folder))
    assert {name: row["emotion"] for name, row in rows.items()} == {
        "Ses01F_impro05_F019": "anger",
        "Ses01F_impro05_M000": "happiness",
        "Ses01M_script01_1b_F000": "neutral",
        "Ses01M_script01_1b_M010": "sadness",
    }
    assert any("'hap'" in note and "--happiness both" in note for note in notes)
    assert any("undecided 1" in note and "frustration 1" in note and "--emotions all" in note for note in notes)


def test_iemocap_speaker_is_in_the_last_part_of_the_name(folder):
    rows, _ = imported("iemocap", write_iemocap(folder))
    assert {name: row["speaker"] for name, row in rows.items()} == {
        "Ses01F_impro05_F019": "Ses01F",
        "Ses01F_impro05_M000": "Ses01M",  # in the dialogue Ses01F
        "Ses01M_script01_1b_F000": "Ses01F",
        "Ses01M_script01_1b_M010": "Ses01M",
    }
    assert {row["session"] for row in rows.values()} == {"Ses01"}


def test_iemocap_scenarios_are_the_same_in_all_sessions(folder):
    write_iemocap(folder, 1)
    rows, _ = imported("iemocap", write_iemocap(folder, 4))
    assert {(row["session"], row["script"]) for row in rows.values()} == {
        (session, script) for session in ("Ses01", "Ses04") for script in ("impro05", "script01_1")
    }


def test_iemocap_transcripts_lose_tags_and_ratings_are_kept(folder):
    rows, _ = imported("iemocap", write_iemocap(folder))
    row = rows["Ses01F_impro05_F019"]
    assert row["text"] == "It's me, F019."
    assert (row["valence"], row["activation"], row["dominance"]) == ("1.5000", "4.0000", "4.5000")
    assert row["audio"] == "corpus/Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav"


@pytest.mark.parametrize(("choice", "names"), [("exc", "M000"), ("hap", "F020"), ("both", "M000 F020")])
def test_iemocap_happiness(folder, choice, names):
    rows, _ = imported("iemocap", write_iemocap(folder), happiness=choice)
    happy = {name[-4:] for name, row in rows.items() if row["emotion"] == "happiness"}
    assert happy == set(names.split())


def test_iemocap_with_all_emotions(folder):
    rows, notes = imported("iemocap", write_iemocap(folder), emotions=("all",), happiness="hap")
    assert Counter(row["emotion"] for row in rows.values()) == Counter(
        ["anger", "excitement", "happiness", "undecided", "neutral", "sadness", "frustration"]
    )
    assert any("1 with the label 'abc' are of no known emotion, left out" in note for note in notes)
    assert not any("--emotions" in note for note in notes)


def test_iemocap_counts_of_a_part_are_reported(folder):
    write_iemocap(folder / "IEMOCAP_full_release", 2)
    _, notes = imported("iemocap", folder)
    assert "Session1, Session3, Session4, Session5 not there: this is a part of IEMOCAP" in notes
    expected = "ang 1 instead of 137, exc 1 instead of 210, hap 1 instead of 117, neu 1 instead of 362"
    assert f"Session2 differs from the complete corpus: {expected}, sad 1 instead of 197" in notes


def test_iemocap_complete_counts_are_the_papers(folder, monkeypatch):
    from pathosnet.corpora.known import iemocap

    totals = dict(zip(iemocap.CHECKED, map(sum, zip(*iemocap.COUNTS.values(), strict=True)), strict=True))
    assert totals == {"ang": 1103, "exc": 1041, "hap": 595, "neu": 1708, "sad": 1084}
    write_iemocap(folder)
    monkeypatch.setitem(iemocap.COUNTS, "Ses01", (1, 1, 1, 1, 1))
    assert not any("differs" in note for note in imported("iemocap", folder)[1])


def test_iemocap_files_that_are_missing_are_counted(folder):
    write_iemocap(folder)
    (folder / "Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F019.wav").unlink()
    touch(folder, "Session1/sentences/wav/Ses01F_impro05/Ses01F_impro05_F777.wav")
    (folder / "Session1/dialog/transcriptions/Ses01M_script01_1b.txt").unlink()
    path = folder / "Session1/dialog/EmoEvaluation/Ses01F_impro05.txt"
    path.write_text(path.read_text() + "[1.0 - 2.0]\tbroken\n")
    rows, notes = imported("iemocap", folder)
    assert len(rows) == 3
    assert rows["Ses01M_script01_1b_M010"]["text"] == ""
    counted = "\n".join(notes)
    assert "1 labelled, but not in sentences/wav: Ses01F_impro05_F019" in counted
    assert "1 not labelled in dialog/EmoEvaluation" in counted
    assert "3 without a transcript: Ses01M_script01_1b_F000 …" in counted
    assert "1 lines of Session1/dialog/EmoEvaluation that cannot be read: [1.0 - 2.0]\tbroken" in counted


def test_iemocap_unknown_choice_of_happiness(folder):
    with pytest.raises(InputError, match="--happiness: expected exc, hap, both, got 'joy'"):
        imported("iemocap", write_iemocap(folder), happiness="joy")


# MELD


def test_meld_text_alone(folder):
    rows, notes = imported("meld", write_meld(folder))
    assert len(rows) == 6
    first, second = list(rows.values())[:2]
    assert first == {
        "text": "Oh, train!",
        "emotion": "happiness",
        "speaker": "Monica",
        "session": "s08e21",
        "language": "en",
        "corpus": "meld",
        "split": "train",
    }
    assert (second["text"], second["emotion"]) == ("It’s me.", "neutral")
    assert [row["split"] for row in rows.values()] == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert notes == ()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_meld_with_clips(folder, elsewhere):
    write_meld(folder)
    clips = folder.parent / "clips" if elsewhere else folder
    touch(clips, "train_splits/dia0_utt0.wav", "train_splits/dia0_utt1.wav", "train_splits/dia0_utt1.mp4")
    touch(clips, "dev/dia0_utt0.wav", "output_repeated_splits_test/dia0_utt1.wav")
    options = ImportOptions(clips=str(clips) if elsewhere else "")
    done = import_corpus(IMPORTERS["meld"], folder, folder / "meld.csv", options=options)
    rows = read_rows(folder / "meld.csv")
    prefix = "../clips/" if elsewhere else ""
    assert [row["audio"] for row in rows] == [
        f"{prefix}train_splits/dia0_utt0.wav",
        f"{prefix}train_splits/dia0_utt1.wav",
        f"{prefix}dev/dia0_utt0.wav",
        f"{prefix}output_repeated_splits_test/dia0_utt1.wav",
    ]
    assert done.notes == ("2 without a clip, left out: dev dia0_utt1 …",)


def test_meld_one_part_with_clips_beside_it(folder):
    touch(write_meld(folder, ["dev"]), "dia0_utt0.wav", "dia0_utt1.wav")
    rows, notes = imported("meld", folder)
    assert set(rows) == {"dia0_utt0", "dia0_utt1"}
    assert notes == ("train_sent_emo.csv is not there", "test_sent_emo.csv is not there")


def test_meld_clips_without_their_part_are_refused(folder):
    touch(write_meld(folder), "clips/dia0_utt0.wav")
    with pytest.raises(InputError, match=r"clips: holds no clips; expected .*train_splits/dia0_utt0\.wav"):
        imported("meld", folder, clips=str(folder / "clips"))
