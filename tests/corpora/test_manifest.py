import csv
from dataclasses import replace
from pathlib import Path

import pytest

from pathosnet.corpora import read_manifest, split_corpus
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError

ROWS = "audio,text,emotion\na.wav,hello there,happiness\nb.wav,,anger\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three files that stand for recordings; reading a manifest does not open them."""
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    return tmp_path


def write(folder: Path, content: str | bytes, name: str = "corpus.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def emotions(corpus) -> list[str]:
    return [utterance.emotion for utterance in corpus.utterances]


def refused(path: Path, **options) -> str:
    """The message about a manifest that cannot be used: one line that begins with the file's name."""
    with pytest.raises(InputError) as caught:
        read_manifest(path, options.pop("labels", PAPER_EMOTIONS), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


# What is read


def test_rows_become_utterances_in_order(folder):
    corpus = read_manifest(write(folder, ROWS), PAPER_EMOTIONS)
    first, second = corpus.utterances
    assert (first.audio, first.text, first.emotion, first.row) == (folder / "a.wav", "hello there", "happiness", 2)
    assert (second.audio, second.text, second.emotion, second.row) == (folder / "b.wav", "", "anger", 3)
    assert corpus.labels == PAPER_EMOTIONS
    assert corpus.paths == (folder / "corpus.csv",)
    assert len(corpus) == 2


def test_byte_order_mark_is_no_part_of_the_header(folder):
    with_mark = read_manifest(write(folder, b"\xef\xbb\xbf" + ROWS.encode(), "bom.csv"), PAPER_EMOTIONS)
    without = read_manifest(write(folder, ROWS), PAPER_EMOTIONS)
    there = {"corpus": "corpus", "manifest": without.paths[0]}
    assert tuple(replace(u, **there) for u in with_mark.utterances) == without.utterances


def test_windows_line_ends_are_read(folder):
    corpus = read_manifest(write(folder, ROWS.replace("\n", "\r\n")), PAPER_EMOTIONS)
    assert emotions(corpus) == ["happiness", "anger"]
    assert [utterance.row for utterance in corpus.utterances] == [2, 3]


def test_last_line_needs_no_line_end(folder):
    assert len(read_manifest(write(folder, ROWS.rstrip("\n")), PAPER_EMOTIONS)) == 2


def test_quoted_texts_may_hold_commas_quotes_and_line_breaks(folder):
    text = 'Yes, he said "no",\nthen left.'
    with (folder / "corpus.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "emotion"), ("a.wav", text, "anger"), ("b.wav", "", "sadness")])
    corpus = read_manifest(folder / "corpus.csv", PAPER_EMOTIONS)
    assert corpus.utterances[0].text == text
    assert corpus.utterances[1].row == 3  # a row of the sheet, whatever the number of lines before it


def test_optional_columns_are_kept_and_others_left_alone(folder):
    content = (
        "id,audio,text,emotion,speaker,language,corpus,split,notes\n"
        "1,a.wav,ciao,happiness,f1,it,emovo,train,loud\n2,b.wav,hello,anger,m1,en,ravdess,test,\n"
    )
    first, second = read_manifest(write(folder, content), PAPER_EMOTIONS).utterances
    assert (first.speaker, first.language, first.corpus, first.split) == ("f1", "it", "emovo", "train")
    assert (second.speaker, second.language, second.corpus, second.split) == ("m1", "en", "ravdess", "test")


def test_absent_optional_columns_are_empty(folder):
    first = read_manifest(write(folder, "audio,emotion\na.wav,joy\nb.wav,sad\n"), PAPER_EMOTIONS).utterances[0]
    assert (first.text, first.speaker, first.language, first.split) == ("", "", "", "")
    assert (first.session, first.script, first.fold) == ("", "", "")


def test_corpus_without_a_name_is_called_like_its_file_or_folder(folder):
    rows = "audio,emotion\na.wav,joy\nb.wav,sad\n"
    assert read_manifest(write(folder, rows, "emovo.csv"), PAPER_EMOTIONS).utterances[0].corpus == "emovo"
    assert read_manifest(write(folder, rows, "manifest.csv"), PAPER_EMOTIONS).utterances[0].corpus == folder.name


def test_several_manifests_make_one_corpus(folder):
    paths = [write(folder, f"audio,emotion\na.wav,{label}\nb.wav,sad\n", f"{label}.csv") for label in ("joy", "anger")]
    corpus = read_manifest(paths, PAPER_EMOTIONS)
    assert corpus.paths == tuple(paths)
    assert [(u.manifest.name, u.row, u.corpus) for u in corpus.utterances] == [
        *(("joy.csv", 2, "joy"), ("joy.csv", 3, "joy")),
        *(("anger.csv", 2, "anger"), ("anger.csv", 3, "anger")),
    ]
    assert corpus.counts() == {"happiness": 1, "anger": 1, "sadness": 2, "neutral": 0}
    assert read_manifest(paths, ("corpus",)).labels == ("anger", "happiness", "sadness")


def test_same_manifest_twice_is_refused(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nb.wav,sad\n")
    with pytest.raises(InputError, match=f"{path.name}: expected each corpus once"):
        read_manifest([path, path.parent / "." / path.name], PAPER_EMOTIONS)


def test_columns_are_found_in_any_order_case_and_with_spaces(folder):
    corpus = read_manifest(write(folder, " Emotion ,AUDIO,Text\n anger , a.wav , hm \njoy,b.wav,\n"), PAPER_EMOTIONS)
    first = corpus.utterances[0]
    assert (first.emotion, first.audio, first.text) == ("anger", folder / "a.wav", "hm")


def test_audio_paths_are_relative_to_the_manifest(folder, monkeypatch, tmp_path_factory):
    (folder / "clips").mkdir()
    (folder / "clips" / "d.wav").write_bytes(b"RIFF")
    path = write(folder, "audio,emotion\nclips/d.wav,joy\na.wav,sad\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert read_manifest(path, PAPER_EMOTIONS).utterances[0].audio == folder / "clips" / "d.wav"


def test_audio_paths_may_be_absolute(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = write(elsewhere, f"audio,emotion\n{folder / 'a.wav'},joy\n{folder / 'b.wav'},sad\n")
    assert read_manifest(path, PAPER_EMOTIONS).utterances[0].audio == folder / "a.wav"


def test_blank_lines_are_skipped_but_counted(folder):
    corpus = read_manifest(write(folder, "audio,emotion\n\na.wav,joy\n , \n\nb.wav,sad\n\n"), PAPER_EMOTIONS)
    assert [utterance.row for utterance in corpus.utterances] == [3, 6]


def test_rows_of_messages_are_those_of_the_sheet(folder):
    path = write(folder, "audio,emotion\n\na.wav,joy\n\nb.wav,wistful\n")
    assert f"{path}, row 5:" in refused(path)


# Labels


def test_spellings_in_several_languages_are_known(folder):
    spellings = ["Gioia", "HAPPY", "ira", "rabbia", "tristeza", "λύπη", "neutro", "Neutral"]
    path = write(folder, "audio,emotion\n" + "".join(f"a.wav,{spelling}\n" for spelling in spellings))
    assert emotions(read_manifest(path, PAPER_EMOTIONS)) == [
        *("happiness", "happiness", "anger", "anger", "sadness", "sadness", "neutral", "neutral")
    ]


def test_own_spellings_go_before_the_known_ones(folder):
    path = write(folder, "audio,emotion\na.wav,JOY\nb.wav,w\n")
    corpus = read_manifest(path, PAPER_EMOTIONS, {"joy": "neutral", "W": "anger"})
    assert emotions(corpus) == ["neutral", "anger"]


def test_dropped_spellings_leave_no_utterance(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nb.wav,Surprise\nc.wav,sad\n")
    corpus = read_manifest(path, PAPER_EMOTIONS, drop_labels=["surprise"])
    assert emotions(corpus) == ["happiness", "sadness"]
    assert [utterance.row for utterance in corpus.utterances] == [2, 4]


def test_files_of_dropped_rows_need_not_exist(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nmissing.wav,fear\nc.wav,sad\n")
    assert len(read_manifest(path, PAPER_EMOTIONS, drop_labels=["FEAR"])) == 2


def test_any_set_of_labels_works_in_its_own_spelling_and_order(folder):
    path = write(folder, "audio,emotion\na.wav,GRUMPY\nb.wav,Sleepy\n")
    corpus = read_manifest(path, ("Sleepy", "Grumpy", "Doc"))
    assert corpus.labels == ("Sleepy", "Grumpy", "Doc")
    assert emotions(corpus) == ["Grumpy", "Sleepy"]
    assert corpus.counts() == {"Sleepy": 1, "Grumpy": 1, "Doc": 0}


def test_labels_of_the_corpus_are_those_that_it_has(folder):
    path = write(folder, "audio,emotion\na.wav,Paura\nb.wav,gioia\nc.wav,joy\na.wav,grumpy\n")
    corpus = read_manifest(path, ("corpus",))
    assert corpus.labels == ("fear", "grumpy", "happiness")
    assert emotions(corpus) == ["fear", "happiness", "happiness", "grumpy"]


def test_labels_of_the_corpus_respect_mapping_and_dropping(folder):
    path = write(folder, "audio,emotion\na.wav,w\nb.wav,joy\nc.wav,boredom\n")
    corpus = read_manifest(path, ("corpus",), {"w": "anger"}, drop_labels=["boredom"])
    assert corpus.labels == ("anger", "happiness")


def test_labels_of_the_corpus_are_mapped_in_any_case(folder):
    path = write(folder, "audio,emotion\na.wav,wut\nb.wav,joy\n")
    assert read_manifest(path, ("corpus",), {"WUT": "fury"}).labels == ("fury", "happiness")


def test_counts_are_in_the_order_of_the_labels(folder):
    path = write(folder, "audio,emotion\na.wav,sad\nb.wav,sad\nc.wav,joy\n")
    counts = read_manifest(path, PAPER_EMOTIONS).counts()
    assert list(counts.items()) == [("happiness", 1), ("anger", 0), ("sadness", 2), ("neutral", 0)]


# Text alone


def test_without_audio_neither_column_nor_files_are_needed(folder):
    corpus = read_manifest(write(folder, "text,emotion\nhi,joy\nbye,sad\n"), PAPER_EMOTIONS, needs_audio=False)
    assert [utterance.audio for utterance in corpus.utterances] == [None, None]
    path = write(folder, "audio,text,emotion\n,hi,joy\nmissing.wav,bye,sad\n")
    assert len(read_manifest(path, PAPER_EMOTIONS, needs_audio=False)) == 2


# What is refused, with file, row and remedy


def test_missing_file(folder):
    assert "No such file" in refused(folder / "absent.csv")


def test_folder_instead_of_a_file(folder):
    assert "cannot be read" in refused(folder)


@pytest.mark.parametrize("content", ["", b"\xef\xbb\xbf"])
def test_empty_file(folder, content):
    message = refused(write(folder, content))
    assert "is empty" in message
    assert "audio, emotion" in message


@pytest.mark.parametrize("content", ["audio,text,emotion\n", "audio,text,emotion", "audio,text,emotion\n\n , ,\n"])
def test_header_without_rows(folder, content):
    assert "holds no utterances" in refused(write(folder, content))


def test_all_rows_dropped(folder):
    assert "holds no utterances" in refused(write(folder, ROWS), drop_labels=["happiness", "anger"])


@pytest.mark.parametrize(
    ("content", "column"), [("text,emotion\nx,joy\n", "audio"), ("audio,text,label\na.wav,x,joy\n", "emotion")]
)
def test_missing_column(folder, content, column):
    message = refused(write(folder, content))
    assert f"has no column '{column}', only " in message
    assert f"name a column '{column}'" in message


def test_no_separator_between_the_columns(folder):
    message = refused(write(folder, "audio text emotion\na.wav x joy\n"))
    assert "separate the columns with commas" in message


def test_column_that_comes_twice(folder):
    assert "expected each column once" in refused(write(folder, "audio,emotion,emotion\na.wav,joy,sad\n"))


def test_text_in_no_known_encoding(folder):
    message = refused(write(folder, b"audio,text,emotion\na.wav,\x81,joy\n"))
    assert "is not cp1252 text" in message
    assert "save it as CSV in UTF-8" in message


def test_spreadsheet_instead_of_a_table(folder):
    assert "export it as CSV" in refused(write(folder, b"PK\x03\x04\x14\x00", "corpus.xlsx"))


def test_recording_instead_of_a_table(folder):
    refused(write(folder, b"RIFF\x24\x80\x00\x00WAVEfmt \xff\xfe\x00", "a.wav"))


def test_unclosed_quote(folder):
    assert "is not a valid CSV file" in refused(write(folder, 'audio,emotion\n"a.wav,joy\nb.wav,sad\n'))


@pytest.mark.parametrize(("row", "cells"), [("a.wav,joy", 2), ("a.wav,hello, you,joy", 4)])
def test_row_of_another_length(folder, row, cells):
    path = write(folder, f"audio,text,emotion\nb.wav,x,sad\n{row}\n")
    assert refused(path) == f"{path}, row 3: expected 3 cells, got {cells}; quote texts that hold commas"


def test_unknown_label_names_row_labels_and_options(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nb.wav,Wistful\n")
    message = refused(path)
    assert message.startswith(f"{path}, row 3: expected an emotion out of happiness, anger, sadness, neutral")
    for part in ("'Wistful'", "--label Wistful=", "--drop-labels Wistful", "--labels"):
        assert part in message


def test_known_emotion_that_is_not_among_the_labels(folder):
    assert "'fear'" in refused(write(folder, "audio,emotion\na.wav,joy\nb.wav,fear\n"))


def test_label_that_is_mapped_to_none_of_the_labels(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nb.wav,ira\n")
    assert f"{path}, row 3:" in refused(path, label_map={"ira": "wrath"})


def test_missing_label(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nb.wav,\n")
    assert refused(path) == f"{path}, row 3: has no emotion; fill it in or remove the row"


def test_row_without_audio(folder):
    path = write(folder, "audio,text,emotion\na.wav,x,joy\n,y,sad\n")
    message = refused(path)
    assert f"{path}, row 3: names no audio file" in message
    assert "--acoustic none" in message


def test_audio_file_that_is_not_there(folder):
    path = write(folder, "audio,emotion\na.wav,joy\nmissing.wav,sad\n")
    message = refused(path)
    assert f"{path}, row 3: no such audio file: {folder / 'missing.wav'}" in message
    assert "relative to the CSV" in message


def test_audio_that_is_a_folder(folder):
    (folder / "d.wav").mkdir()
    path = write(folder, "audio,emotion\na.wav,joy\nd.wav,sad\n")
    assert f"{path}, row 3: " in refused(path)


def test_a_single_emotion_can_be_evaluated_but_not_learnt(folder):
    corpus = read_manifest(write(folder, "audio,emotion\na.wav,joy\nb.wav,happy\n"), PAPER_EMOTIONS)
    assert corpus.counts()["happiness"] == 2
    with pytest.raises(InputError, match="every row has the emotion 'happiness'; expected at least two"):
        split_corpus(corpus)


@pytest.mark.parametrize(("labels", "complaint"), [(("anger",), "at least two"), (("joy", "joy"), "each label once")])
def test_label_sets_that_cannot_be_classified(folder, labels, complaint):
    with pytest.raises(InputError, match=complaint):
        read_manifest(write(folder, "audio,emotion\na.wav,joy\nb.wav,anger\n"), labels)


# Manifests of one name


def test_manifests_of_one_name_stay_two_corpora(folder):
    for name in ("one", "two", "two/deep"):
        (folder / name).mkdir()
        write(folder / name, "audio,emotion,speaker\n../a.wav,joy,s1\n../b.wav,sad,s2\n", "corpus.csv")
    for clip in ("a.wav", "b.wav"):
        (folder / "two" / clip).write_bytes(b"RIFF")
    corpus = read_manifest([folder / "one/corpus.csv", folder / "two/corpus.csv"], PAPER_EMOTIONS)
    assert [u.corpus for u in corpus.utterances] == ["one/corpus", "one/corpus", "two/corpus", "two/corpus"]
    corpus = read_manifest([folder / "two/corpus.csv", folder / "two/deep/corpus.csv"], PAPER_EMOTIONS)
    assert {u.corpus for u in corpus.utterances} == {"two/corpus", "deep/corpus"}


def test_a_corpus_that_is_named_by_its_rows_is_one_in_several_files(folder):
    paths = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        paths.append(write(folder / name, "audio,emotion,corpus\n../a.wav,joy,emovo\n../b.wav,sad,\n"))
    assert [u.corpus for u in read_manifest(paths, PAPER_EMOTIONS).utterances] == [
        *("emovo", "one/corpus", "emovo", "two/corpus")
    ]


# Votes


def test_votes_become_shares_of_the_labels(folder):
    head = "audio,emotion,votes_happy,votes_anger,votes_disgust\n"
    path = write(folder, f"{head}a.wav,joy,6,2,4\nb.wav,anger,0,,9\nc.wav,anger,0,1,0\n")
    corpus = read_manifest(path, PAPER_EMOTIONS)
    assert [u.votes for u in corpus.utterances] == [(0.75, 0.25, 0.0, 0.0), (), (0.0, 1.0, 0.0, 0.0)]
    assert corpus.vote_shares([0, 1]).tolist() == [[0.75, 0.25, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_without_votes_the_label_has_them_all(folder):
    corpus = read_manifest(write(folder, ROWS), PAPER_EMOTIONS)
    assert corpus.vote_shares([1, 0]).tolist() == [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("count", ["-1", "many", "nan"])
def test_votes_are_counts(folder, count):
    path = write(folder, f"audio,emotion,votes_anger\na.wav,joy,1\nb.wav,sad,{count}\n")
    assert refused(path).startswith(f"{path}, row 3: expected ")
