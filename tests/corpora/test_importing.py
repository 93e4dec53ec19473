"""Look-alike trees of every corpus, with the quirks of the real ones."""

import csv
import os
from pathlib import Path

import pytest
from importing import imported
from making import read_rows, touch

from pathosnet.corpora import read_manifest
from pathosnet.corpora.importing import import_corpus, read_corpus_table
from pathosnet.corpora.known import IMPORTERS, find_importer
from pathosnet.emotions import ALIASES
from pathosnet.errors import InputError

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
