"""Look-alike trees of every corpus, with the quirks of the real ones."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest
from making import read_rows, touch, write_iemocap, write_meld, write_tone

from pathosnet.corpora import read_manifest
from pathosnet.corpora.importing import ImportOptions, import_corpus, read_corpus_table
from pathosnet.corpora.known import IMPORTERS, find_importer
from pathosnet.corpora.known.patterns import compile_pattern
from pathosnet.emotions import ALIASES
from pathosnet.errors import InputError


def imported(name: str, folder: Path, **options):
    """What an import writes, rows by the name of the recording, and its notes."""
    out = folder.parent / f"{name}.csv"
    importer = find_importer(name, options.get("pattern", ""))
    done = import_corpus(importer, folder, out, options=ImportOptions(**options), overwrite=True)
    rows = read_rows(out)
    assert len(rows) == len(done.utterances)
    assert all((out.parent / row["audio"]).is_file() for row in rows if row.get("audio"))
    return {Path(row.get("audio", "")).stem or str(i): row for i, row in enumerate(rows)}, done.notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "corpus"


# Corpora whose file names say everything


def test_ravdess(folder):
    touch(folder, "Actor_12/03-01-05-02-02-01-12.wav", "Actor_01/03-01-01-01-01-02-01.flac")
    touch(folder, "Actor_12/03-02-05-02-02-01-12.wav")  # a song
    touch(folder, "Actor_12/01-01-05-02-02-01-12.mp4", "Actor_12/._03-01-05-02-02-01-12.wav")
    touch(folder, "audio_speech_actors_01-24/Actor_12/03-01-05-02-02-01-12.wav")  # an archive that holds itself
    rows, notes = imported("ravdess", folder)
    assert rows["03-01-05-02-02-01-12"] == {
        "audio": "corpus/Actor_12/03-01-05-02-02-01-12.wav",
        "text": "Dogs are sitting by the door",
        "emotion": "anger",
        "speaker": "actor12",
        "language": "en",
        "corpus": "ravdess",
    }
    assert rows["03-01-01-01-01-02-01"]["text"] == "Kids are talking by the door"
    assert rows["03-01-01-01-01-02-01"]["emotion"] == "neutral"
    assert len(rows) == 2
    assert [note.partition(":")[0] for note in notes] == [
        "1 songs, left out",
        "1 there already under the same name",
    ]


def test_linked_folders_are_read(tmp_path):
    touch(tmp_path, "real/03-01-05-01-01-01-01.wav", "ravdess/Actor_02/03-01-05-01-01-01-02.wav")
    (tmp_path / "ravdess/Actor_01").symlink_to("../real")
    rows, notes = imported("ravdess", tmp_path / "ravdess")
    assert [row["audio"].split("/")[1] for row in rows.values()] == ["Actor_01", "Actor_02"]
    assert notes == ()


@pytest.mark.parametrize(
    ("code", "emotion"),
    list(enumerate(("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"), start=1)),
)
def test_ravdess_emotions(folder, code, emotion):
    touch(folder, f"03-01-0{code}-01-01-01-03.wav")
    assert {row["emotion"] for row in imported("ravdess", folder)[0].values()} == {emotion}


def test_emovo(folder):
    codes = {"neu": "neutral", "dis": "disgust", "gio": "happiness", "pau": "fear", "rab": "anger"}
    codes |= {"sor": "surprise", "tri": "sadness"}
    touch(folder, *(f"m3/{code}-m3-d1.wav" for code in codes), "documents/readme.pdf")
    rows, notes = imported("emovo", folder)
    assert {name.partition("-")[0]: row["emotion"] for name, row in rows.items()} == codes
    assert rows["rab-m3-d1"]["text"] == "Sabato sera cosa farà?"
    assert rows["rab-m3-d1"]["speaker"] == "m3"
    assert notes == ()


def test_emodb(folder):
    touch(folder, "wav/03a01Wa.wav", "wav/16b10Lb.wav", "wav/08a05E.wav", "wav/11b01A.wav", "wav/10b02Fa.wav")
    touch(folder, "wav/12a07Tc.wav", "wav/13a02Nb.wav", "labels/03a01Wa.lab", "wav/03x01Wa.wav")
    rows, notes = imported("emodb", folder)
    expected = ["anger", "disgust", "fear", "boredom", "happiness", "sadness", "neutral"]
    assert sorted(row["emotion"] for row in rows.values()) == sorted(expected)
    first = rows["03a01Wa"]
    assert (first["emotion"], first["speaker"], first["script"], first["language"]) == ("anger", "03", "a01", "de")
    assert first["text"] == "Der Lappen liegt auf dem Eisschrank."
    assert rows["16b10Lb"]["emotion"] == "boredom"
    assert notes == ("1 not named like 03a01Wa.wav: wav/03x01Wa.wav",)


@pytest.mark.parametrize(
    "names", [("ALL/DC_a01.wav", "ALL/KL_sa15.wav", "ALL/JE_su02.wav", "ALL/JK_n30.wav"), None], ids=["flat", "folders"]
)
def test_savee(folder, names):
    names = names or ("AudioData/DC/a01.wav", "AudioData/KL/sa15.wav", "AudioData/JE/su02.wav", "AudioData/JK/n30.wav")
    touch(folder, *names)
    rows, notes = imported("savee", folder)
    said = sorted((row["speaker"], row["emotion"], row["script"]) for row in rows.values())
    assert said == [
        ("DC", "anger", "a01"),
        ("JE", "surprise", "su02"),
        ("JK", "neutral", "n30"),
        ("KL", "sadness", "sa15"),
    ]
    assert notes == ()


def test_savee_speakers_have_files_of_the_same_name(folder):
    touch(folder, "DC/a01.wav", "KL/a01.wav")
    done = import_corpus(IMPORTERS["savee"], folder, folder / "savee.csv")
    assert [utterance.speaker for utterance in done.utterances] == ["DC", "KL"]
    assert done.notes == ()


def test_tess(folder):
    touch(folder, "OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_youth_ps.wav")
    touch(folder, "OAF_neutral/OA_bite_neutral.wav", "more/OAF_angry/OAF_back_angry.wav")
    rows, notes = imported("tess", folder)
    assert (rows["OAF_back_angry"]["text"], rows["OAF_back_angry"]["emotion"]) == ("Say the word back", "anger")
    assert rows["YAF_youth_ps"]["emotion"] == "surprise"
    assert rows["OA_bite_neutral"]["speaker"] == "OAF"
    assert len(notes) == 1


def test_urdu(folder):
    touch(folder, "Neutral/SM1_F2_N012.wav", "Angry/SF10_F1_A1.wav", "Happy/SM2_F3_H03.wav", "Sad/SM3_F4_S04.wav")
    touch(folder, "Sad/SM9_F9_A09.wav")
    rows, notes = imported("urdu", folder)
    assert {name: row["emotion"] for name, row in rows.items()} == {
        "SM1_F2_N012": "neutral",
        "SF10_F1_A1": "anger",
        "SM2_F3_H03": "happiness",
        "SM3_F4_S04": "sadness",
    }
    assert (rows["SF10_F1_A1"]["speaker"], rows["SF10_F1_A1"]["language"]) == ("SF10", "ur")
    assert "text" not in rows["SF10_F1_A1"]  # there are no transcripts
    assert notes == (
        "1 in the folder of another emotion than the name says, left out: " + str(Path("Sad/SM9_F9_A09.wav")),
    )


# EmoFilm


def test_emofilm(folder):
    touch(folder, "f_gio001ait.wav", "f_gio001aen.wav", "m_ans123bes.wav", "f_dis002cit.wav", "m_rab003den.wav")
    touch(folder, "m_tri004aes.wav", "f_gio001afr.wav")
    rows, notes = imported("emofilm", folder)
    assert {name: row["emotion"] for name, row in rows.items()} == {
        "f_gio001ait": "happiness",
        "f_gio001aen": "happiness",
        "m_ans123bes": "fear",
        "f_dis002cit": "contempt",
        "m_rab003den": "anger",
        "m_tri004aes": "sadness",
    }
    assert rows["f_gio001ait"]["script"] == rows["f_gio001aen"]["script"] == "f_gio001a"  # one scene, dubbed
    assert (rows["f_gio001ait"]["language"], rows["m_ans123bes"]["language"]) == ("it", "es")
    assert "speaker" not in rows["f_gio001ait"]
    assert notes == ("1 not named like f_gio001ait.wav: f_gio001afr.wav",)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_emofilm_speakers_come_from_the_exported_spreadsheet(folder, delimiter):
    touch(folder, "f_gio001ait.wav", "m_rab003den.wav", "m_tri004aes.wav")
    table = [("File name", "Speaker", "Film"), ("f_gio001ait.wav", "anna", "A"), ("m_rab003den", "bob", "B")]
    (folder / "list.csv").write_text("\r\n".join(delimiter.join(row) for row in table), encoding="utf-8-sig")
    rows, notes = imported("emofilm", folder)
    assert {name: row["speaker"] for name, row in rows.items()} == {
        "f_gio001ait": "anna",
        "m_rab003den": "bob",
        "m_tri004aes": "",
    }
    assert notes == ("1 without a speaker in the spreadsheet: m_tri004aes.wav",)
    (folder / "list.csv").rename(folder.parent / "elsewhere.csv")
    assert imported("emofilm", folder, speakers=str(folder.parent / "elsewhere.csv"))[0] == rows


def test_emofilm_spreadsheet_must_be_exported(folder):
    touch(folder, "f_gio001ait.wav", "EmoFilm.xlsx")
    rows, notes = imported("emofilm", folder)
    assert "speaker" not in rows["f_gio001ait"]
    assert notes == (
        f"the speakers are not known: export {folder / 'EmoFilm.xlsx'} as CSV and name it with --speakers",
    )


def test_emofilm_table_without_speakers(folder):
    touch(folder, "f_gio001ait.wav")
    (folder / "list.csv").write_text("File,Film\nf_gio001ait,A\n")
    assert "expected a column called file and one called speaker, got File, Film" in imported("emofilm", folder)[1][0]
    with pytest.raises(InputError, match=r"list\.csv: expected a column called file and one called speaker"):
        imported("emofilm", folder, speakers=str(folder / "list.csv"))


# nEMO


def write_nemo(folder: Path, *rows: tuple[str, str, str, str]) -> None:
    header = ("file_id", "emotion", "raw_text", "normalized_text", "speaker_id", "gender", "age")
    with (folder / "data.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(header)
        writer.writerows((name, emotion, text, text.lower(), who, "female", 30) for name, emotion, text, who in rows)


def test_nemo(folder):
    touch(folder, "samples/SK4_anger_1.wav", "samples/EB0_surprised_2.flac", "samples/EB0_fear_3.wav")
    write_nemo(
        folder,
        ("SK4_anger_1.wav", "anger", 'Lubię "czytać".', "SK4"),
        ("EB0_surprised_2.wav", "surprised", "Kupiłem nową szafę.", "EB0"),
        ("EB0_sad_9.wav", "sadness", "Nie.", "EB0"),
    )
    rows, notes = imported("nemo", folder)
    assert (rows["SK4_anger_1"]["text"], rows["SK4_anger_1"]["speaker"]) == ('Lubię "czytać".', "SK4")
    assert rows["EB0_surprised_2"]["emotion"] == "surprise"
    assert rows["EB0_surprised_2"]["language"] == "pl"
    assert notes == (
        "1 not in data.tsv: " + str(Path("samples/EB0_fear_3.wav")),
        "1 in data.tsv, but not in samples: EB0_sad_9.wav",
    )


def test_nemo_table_that_lacks_a_column(folder):
    (folder / "data.tsv").write_text("file_id\temotion\nx\tanger\n")
    with pytest.raises(InputError, match=r"data\.tsv: expected the columns file_id, .*, got file_id, emotion"):
        imported("nemo", folder)


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


# Patterns: AESI, SES and others


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


# audformat


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


# What all importers share


@pytest.mark.parametrize("name", [name for name in IMPORTERS if name not in ("ses", "aesi")])
def test_empty_folder_says_which_layout_was_expected(folder, name):
    with pytest.raises(InputError) as caught:
        imported(name, folder)
    assert str(caught.value) == (
        f"{folder}: holds nothing of {IMPORTERS[name].title}; expected {IMPORTERS[name].layout}"
    )
    assert "such as " in IMPORTERS[name].layout or name == "audformat"


def test_wrong_folder_says_what_it_holds_instead(folder):
    touch(folder, "x.wav", "y.wav")
    with pytest.raises(
        InputError, match=r"holds nothing of EMOVO \(2 not named like gio-f1-b1\.wav: x\.wav …\); expec"
    ):
        imported("emovo", folder)
    assert not (folder.parent / "emovo.csv").exists()


def test_folder_that_is_not_there(folder):
    with pytest.raises(InputError, match=r"nowhere: no such folder; expected f1 … m3"):
        imported("emovo", folder / "nowhere")
    with pytest.raises(InputError, match=r"x\.wav: is a file; expected f1 … m3"):
        imported("emovo", touch(folder, "x.wav") / "x.wav")


@pytest.mark.parametrize("name", list(IMPORTERS))
def test_emotions_have_the_names_of_the_library(name):
    emotions = IMPORTERS[name].emotions
    assert len(set(emotions)) == len(emotions)
    for emotion in set(emotions) - {"other", "undecided"}:
        assert ALIASES[emotion] == emotion


def test_emotions_to_keep_may_be_spelled_in_any_way(folder):
    touch(folder, "a_gioia.wav", "b_tristeza.wav", "c_paura.wav", "d_paura.wav")
    options = {"pattern": "{speaker}_{emotion}.wav"}
    rows, notes = imported("x", folder, emotions=("joy", "sad"), **options)
    assert set(rows) == {"a_gioia", "b_tristeza"}
    assert notes == ("other emotions are left out (fear 2); --emotions all keeps them",)
    assert len(imported("x", folder, **options)[0]) == 4
    with pytest.raises(
        InputError, match="has none of the emotions anger, only fear 2, happiness 1, sadness 1; see --em"
    ):
        imported("x", folder, emotions=("anger",), **options)


def test_option_of_another_corpus_is_refused(folder):
    touch(folder, "gio-f1-b1.wav")
    with pytest.raises(InputError, match="--happiness: EMOVO has no such option, only --emotions, --label"):
        imported("emovo", folder, happiness="exc")


def test_unknown_corpus_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no importer is called 'x', only iemocap, emofilm.*--pattern '\{speaker\}"):
        find_importer("x")


def test_manifest_is_replaced_only_if_asked(folder):
    touch(folder, "gio-f1-b1.wav")
    (folder / "out.csv").write_text("mine")
    with pytest.raises(InputError, match=r"out\.csv: exists already; .*--overwrite"):
        import_corpus(IMPORTERS["emovo"], folder, folder / "out.csv")
    assert (folder / "out.csv").read_text() == "mine"
    import_corpus(IMPORTERS["emovo"], folder, folder / "out.csv", overwrite=True)
    assert len(read_rows(folder / "out.csv")) == 1
    assert {path.name for path in folder.iterdir()} == {"gio-f1-b1.wav", "out.csv"}


def test_manifest_that_cannot_be_written(folder):
    touch(folder, "gio-f1-b1.wav")
    with pytest.raises(InputError, match=r"out\.csv: cannot be written"):
        import_corpus(IMPORTERS["emovo"], folder, folder / "gio-f1-b1.wav" / "out.csv")


def test_audio_paths_survive_links(folder, monkeypatch):
    """A folder that is reached through a link, and recordings that are links to files of other names."""
    touch(folder.parent, "store/deep/123.bin")
    (folder / "f1").mkdir()
    os.symlink(folder.parent / "store/deep/123.bin", folder / "f1" / "gio-f1-b1.wav")
    os.symlink(folder, folder.parent / "store" / "deep" / "link", target_is_directory=True)
    out = folder.parent / "store" / "deep" / "link" / "out" / "emovo.csv"
    monkeypatch.chdir(folder)
    import_corpus(IMPORTERS["emovo"], ".", out)
    assert read_rows(out)[0]["audio"] == "../f1/gio-f1-b1.wav"
    assert (out.parent / "../f1/gio-f1-b1.wav").is_file()


def test_manifests_are_what_training_reads(folder):
    touch(folder, "f1/gio-f1-b1.wav", "m2/rab-m2-l1.wav")
    imported("emovo", folder)
    corpus = read_manifest(folder.parent / "emovo.csv", ("happiness", "anger"))
    assert [(u.emotion, u.speaker, u.corpus) for u in corpus.utterances] == [
        ("happiness", "f1", "emovo"),
        ("anger", "m2", "emovo"),
    ]


def test_table_in_another_encoding(folder):
    (folder / "t.csv").write_bytes("a,b\nè,x\n".encode("latin-1"))
    assert read_corpus_table(folder / "t.csv", ["a"]) == [{"a": "è", "b": "x"}]


@pytest.mark.parametrize("name", ["emovo", "ravdess"])
def test_real_copies_are_labelled_as_they_are(shared_data, tmp_path, name):
    done = import_corpus(IMPORTERS[name], shared_data / name, tmp_path / "out.csv")
    expected = read_manifest(shared_data / name / "manifest.csv", ("corpus",)).utterances
    said = {(u.audio.name, u.text, u.emotion, u.speaker, u.language) for u in done.utterances if u.audio}
    assert said == {(u.audio.name, u.text, u.emotion, u.speaker, u.language) for u in expected if u.audio}
    assert done.notes == ()
