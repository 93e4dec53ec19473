"""Look-alikes of corpora whose layouts are known from descriptions, and of CREMA-D."""

import json
from pathlib import Path

import pytest
from making import read_rows, touch

from pathosnet.corpora import read_manifest
from pathosnet.corpora.importing import ImportOptions, import_corpus
from pathosnet.corpora.known import IMPORTERS
from pathosnet.corpora.known.names import UNSEEN
from pathosnet.errors import InputError

ALL = ImportOptions(emotions=("all",))


def imported(name: str, folder: Path) -> tuple[list[dict[str, str]], tuple[str, ...]]:
    done = import_corpus(IMPORTERS[name], folder, folder.parent / "out.csv", options=ALL, overwrite=True)
    return read_rows(folder.parent / "out.csv"), done.notes


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        (
            "subesco",
            ["F_01_OISHI_S_1_ANGRY_1.wav", "F_01_OISHI_S_1_ANGRY_2.wav", "M_11_X_S_10_SURPRISE_5.wav"],
            [("F_01", "anger", "1"), ("F_01", "anger", "1"), ("M_11", "surprise", "10")],
        ),
        ("aesdd", ["anger/a01 (1).wav", "sadness/s12 (5).wav"], [("1", "anger", "01"), ("5", "sadness", "12")]),
        (
            "cafe",
            ["01-C-1-1.wav", "01-C-2-1.wav", "12-T-2-6.wav", "03-N-1-4.wav"],
            [("01", "anger", "1"), ("01", "anger", "1"), ("03", "neutral", "4"), ("12", "sadness", "6")],
        ),
        (
            "jl",
            ["female1_angry_10a_1.wav", "female1_angry_10a_2.wav", "male2_apologetic_3b_1.wav"],
            [("female1", "anger", "10a"), ("female1", "anger", "10a"), ("male2", "apology", "3b")],
        ),
        ("mesd", ["Anger_C_A_abajo.wav", "Sadness_F_B_hola.wav"], [("C", "anger", ""), ("F", "sadness", "")]),
        (
            "oreau",
            ["01F1C1.wav", "01F1C2.wav", "32M79T1.wav"],
            [("01F", "anger", "1"), ("01F", "anger", "1"), ("32M", "sadness", "79")],
        ),
        (
            "emovdb",
            ["bea/Angry/anger_1-28_0001.wav", "sam/Amused/amused_1-28_0001.wav"],
            [("bea", "anger", "0001"), ("sam", "amusement", "0001")],
        ),
        (
            "ased",
            ["a1-01-01-02-10.wav", "a1-01-02-02-10.wav", "n5-03-01-01-65.wav"],
            [("10", "anger", "01"), ("10", "anger", "01"), ("65", "neutral", "03")],
        ),
        (
            "casia",
            ["liuchanhg/angry/201.wav", "wangzhe/surprise/201.wav"],
            [("liuchanhg", "anger", "201"), ("wangzhe", "surprise", "201")],
        ),
        (
            "shemo",
            ["F01A01.wav", "F01A02.wav", "M45W03.wav"],
            [("F01", "anger", ""), ("F01", "anger", ""), ("M45", "surprise", "")],
        ),
    ],
)
def test_names_that_say_everything(tmp_path, name, files, expected):
    folder = touch(tmp_path / "corpus", *files, "README.txt", "nothing/like it.wav")
    rows, notes = imported(name, folder)
    assert sorted((row["speaker"], row["emotion"], row.get("script", "")) for row in rows) == sorted(expected)
    assert {row["language"] for row in rows} == set(IMPORTERS[name].languages)
    assert len(notes) == 1
    assert notes[0].startswith("1 not named like ")
    assert {row["emotion"] for row in rows} <= set(IMPORTERS[name].emotions)


@pytest.mark.parametrize(
    "name",
    [
        "ased",
        "aesdd",
        "cafe",
        "casia",
        "emovdb",
        "emozionalmente",
        "esd",
        "jl",
        "mesd",
        "msppodcast",
        "oreau",
        "shemo",
        "subesco",
    ],
)
def test_importers_that_were_never_tried_on_the_corpus_say_so(tmp_path, name):
    assert IMPORTERS[name].layout.endswith(UNSEEN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="never tried on the corpus itself"):
        import_corpus(IMPORTERS[name], tmp_path / "empty", tmp_path / "out.csv")


def test_esd(tmp_path):
    folder = touch(tmp_path / "ESD", "0011/Angry/0011_000351.wav", "0011/Sad/test/0011_001401.wav")
    touch(folder, "0001/Happy/0001_000701.wav")
    (folder / "0011/0011.txt").write_text("0011_000351\tThe nine the eggs.\tAngry\n", encoding="utf-16")
    rows, notes = imported("esd", folder)
    assert [(row["speaker"], row["emotion"], row["script"], row["language"]) for row in rows] == [
        *(("0001", "happiness", "1", "zh"), ("0011", "anger", "1", "en"), ("0011", "sadness", "1", "en"))
    ]
    assert [row["text"] for row in rows] == ["", "The nine the eggs.", ""]
    assert [row["split"] for row in rows] == ["", "", "test"]
    assert notes == ()


def test_emozionalmente(tmp_path):
    folder = touch(tmp_path / "corpus", "audio/1.wav", "metadata/samples.csv")
    head = "file_name,sentence,emotion_expressed,actor\n"
    (folder / "metadata/samples.csv").write_text(f"{head}1.wav,In quella casa,joy,17\n2.wav,La sera,fear,17\n")
    rows, notes = imported("emozionalmente", folder)
    assert [(row["emotion"], row["speaker"], row["text"]) for row in rows] == [("happiness", "17", "In quella casa")]
    assert notes == ("1 in metadata/samples.csv, but not in audio: 2.wav",)


def test_msp_podcast(tmp_path):
    names = ["MSP-PODCAST_0001_0008", "MSP-PODCAST_0002_0033"]
    folder = touch(tmp_path / "corpus", *(f"Audios/{name}.wav" for name in names), "Labels/x", "Transcripts/x")
    head = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    lines = [f"{names[0]}.wav,N,2.4,4.0,3.2,127,Male,Test1\n", f"{names[1]}.wav,H,5.0,6,4,Unknown,Female,Train\n"]
    (folder / "Labels/labels_consensus.csv").write_text(head + "".join(lines) + "c.wav,X,1,1,1,2,Male,Train\n")
    raters = {
        "w1": {"EmoClass_Major": "Neutral"},
        "w2": {"EmoClass_Major": "Happy"},
        "w3": {"EmoClass_Major": "Neutral"},
    }
    (folder / "Labels/labels_detailed.json").write_text(json.dumps({f"{names[0]}.wav": raters}))
    (folder / "Transcripts" / f"{names[0]}.txt").write_text("Well  then\n")
    rows, notes = imported("msppodcast", folder)
    first, second = rows
    assert (first["emotion"], first["text"], first["speaker"], first["split"]) == (
        "neutral",
        "Well then",
        "127",
        "test",
    )
    assert (first["votes_neutral"], first["votes_happiness"], first["votes_anger"]) == ("2", "1", "0")
    assert (second["emotion"], second["speaker"], second["votes_neutral"]) == ("happiness", "", "")
    assert (second["valence"], second["activation"], second["dominance"]) == ("6", "5.0", "4")
    assert notes == ("1 without an emotion that most raters agree on, left out: c.wav",)


def test_crema_d_with_the_votes_of_those_who_only_heard(tmp_path):
    folder = touch(tmp_path / "CREMA-D", "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1076_MTI_SAD_XX.wav")
    touch(folder, "AudioWAV/1001_IEO_HAP_LO.wav", "AudioWAV/1001_IEO_HAP_HI.wav", "AudioWAV/1040_ITH_SAD_X.wav")
    touch(folder, "processedResults/tabulatedVotes.csv", "AudioMP3/1001_DFA_ANG_XX.mp3")
    table = ",A,D,F,H,N,S,fileName,numResponses\n100001,7,1,0,0,2,0,1001_DFA_ANG_XX,10\n"
    (folder / "processedResults/tabulatedVotes.csv").write_text(table + "200001,1,9,0,0,0,0,1001_DFA_ANG_XX,10\n")
    rows, notes = imported("cremad", folder)
    assert len(rows) == 4
    voted = next(row for row in rows if "DFA" in row["audio"])
    assert (voted["speaker"], voted["script"], voted["text"]) == ("1001", "DFA", "Don't forget a jacket.")
    assert [voted[f"votes_{emotion}"] for emotion in ("anger", "disgust", "neutral")] == ["7", "1", "2"]
    assert notes[0] == "AudioWAV/1076_MTI_SAD_XX.wav is left out: it is silent"
    assert notes[1].startswith("1 there already under the same name")
    found = read_manifest(tmp_path / "out.csv", ("anger", "disgust", "happiness", "sadness"), needs_audio=True)
    assert found.vote_shares([0])[0].tolist() == [0.875, 0.125, 0.0, 0.0]
