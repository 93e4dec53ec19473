import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from making import contents, make_corpus, read_rows, write_manifest, write_tone

from pathosnet import cli
from pathosnet.corpora import read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.transcribe import transcribe

TEXTS = ["Go away!", "", "Tutto bene", "", "Yes"]
LANGUAGES = ["en", "en", "it", "it", ""]


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Five clips, two without a text."""
    folder = tmp_path / "corpus"
    (folder / "clips").mkdir(parents=True)
    rows = [
        {"audio": f"clips/{i}.wav", "text": text, "Emotion": "anger", "language": language, "note": f"n{i}"}
        for i, (text, language) in enumerate(zip(TEXTS, LANGUAGES, strict=True))
    ]
    for i, row in enumerate(rows):
        write_tone(folder / row["audio"], seconds=0.1 * (i + 1))
    return write_manifest(folder / "corpus.csv", rows)


def count_samples(waveform, language):
    return f"{language}  {len(waveform)}\n"


def run(corpus: Path, recognizer=count_samples, out: str = "out.csv", **options):
    return transcribe(corpus, corpus.parent / out, recognizer, progress=False, **options)


# What is written


def test_rows_without_a_text_are_transcribed_and_the_others_kept(corpus):
    done = run(corpus)
    assert (done.rows, done.transcribed, done.failures, done.errors) == (5, 2, (), None)
    rows = read_rows(corpus.parent / "out.csv")
    assert [row["text"] for row in rows] == ["Go away!", "en 3200", "Tutto bene", "it 6400", "Yes"]
    assert [row["reference_text"] for row in rows] == TEXTS


def test_all_columns_stay_as_they_are_spelled(corpus):
    run(corpus)
    before, after = read_rows(corpus), read_rows(corpus.parent / "out.csv")
    assert list(after[0]) == [*before[0], "reference_text"]
    for old, new in zip(before, after, strict=True):
        assert {**new, "text": old["text"]} == {**old, "reference_text": old["text"]}


def test_all_rows_are_transcribed_if_asked(corpus):
    assert run(corpus, all_rows=True).transcribed == 5
    rows = read_rows(corpus.parent / "out.csv")
    assert [row["text"] for row in rows] == ["en 1600", "en 3200", "it 4800", "it 6400", "8000"]
    assert [row["reference_text"] for row in rows] == TEXTS


def test_reference_survives_a_second_recognizer(corpus):
    run(corpus, all_rows=True)
    done = run(corpus.parent / "out.csv", lambda waveform, language: "yes", out="second.csv", all_rows=True)
    rows = read_rows(corpus.parent / "second.csv")
    assert [row["text"] for row in rows] == ["yes"] * 5
    assert [row["reference_text"] for row in rows] == TEXTS
    assert done.errors is not None
    assert done.errors.utterances == 3  # what the first recognizer heard is no reference


def test_corpus_without_the_column_gets_it(tmp_path):
    write_tone(tmp_path / "a.wav")
    manifest = write_manifest(tmp_path / "corpus.csv", [{"audio": "a.wav", "emotion": "anger"}])
    run(manifest, lambda waveform, language: "go, away")
    assert read_rows(tmp_path / "out.csv") == [
        {"audio": "a.wav", "emotion": "anger", "text": "go, away", "reference_text": ""}
    ]


def test_audio_paths_are_relative_to_the_new_file(corpus):
    absolute = write_tone(corpus.parent / "absolute.wav")
    write_manifest(corpus, [*read_rows(corpus), {**read_rows(corpus)[0], "audio": absolute}])
    run(corpus, out="../elsewhere/deep/out.csv")
    out = corpus.parent.parent / "elsewhere" / "deep"
    rows = read_rows(out / "out.csv")
    assert rows[0]["audio"] == "../../corpus/clips/0.wav"
    assert rows[-1]["audio"] == str(absolute)
    assert all((out / row["audio"]).is_file() for row in rows)


def test_transcribed_corpus_is_a_corpus(tmp_path):
    manifest = make_corpus(tmp_path / "corpus", per_class=2, text="")
    run(manifest, lambda waveform, language: "go away now")
    transcribed = read_manifest(manifest.parent / "out.csv", PAPER_EMOTIONS).utterances
    for before, after in zip(read_manifest(manifest, PAPER_EMOTIONS).utterances, transcribed, strict=True):
        assert after.text == "go away now"
        assert (after.audio, after.emotion, after.speaker) == (before.audio, before.emotion, before.speaker)


# Word errors


def test_word_errors_by_language_and_together(corpus):
    heard = {1600: "go astray", 4800: "tutto bene", 8000: "yes yes"}
    done = run(corpus, lambda waveform, language: heard.get(len(waveform), "anything"), all_rows=True)
    assert {name: (e.words, e.wer) for name, e in done.errors_by_language.items()} == {
        "en": (2, 0.5),
        "it": (2, 0.0),
        "": (1, 1.0),
    }
    assert done.errors is not None
    assert (done.errors.utterances, done.errors.words, done.errors.wer) == (3, 5, pytest.approx(2 / 5))
    lines = [line.split() for line in done.table().splitlines()]
    assert lines[0] == ["language", "utterances", "words", "WER", "CER"]
    assert [line[:4] for line in lines[1:]] == [
        ["–", "1", "1", "100.0%"],
        ["en", "1", "2", "50.0%"],
        ["it", "1", "2", "0.0%"],
        ["all", "3", "5", "40.0%"],
    ]


# Failures


def test_bad_recordings_are_reported_and_the_others_go_on(corpus):
    (corpus.parent / "clips" / "1.wav").write_text("no sound")
    (corpus.parent / "clips" / "2.wav").unlink()

    def listen(waveform, language):
        if len(waveform) == 6400:
            raise RuntimeError("out of\nmemory")
        return "yes"

    done = run(corpus, listen, all_rows=True)
    assert [(failure.row, failure.audio) for failure in done.failures] == [
        (3, "clips/1.wav"),
        (4, "clips/2.wav"),
        (5, "clips/3.wav"),
    ]
    assert "cannot be read as audio" in done.failures[0].error
    assert "no such audio file" in done.failures[1].error
    assert done.failures[2].error.endswith("3.wav: RuntimeError: out of memory")
    assert [row["text"] for row in read_rows(corpus.parent / "out.csv")] == ["yes", "", "", "", "yes"]
    assert done.errors is not None
    assert done.errors.utterances == 2


def test_failed_recordings_alone_are_tried_again(corpus):
    clip = corpus.parent / "clips" / "1.wav"
    clip.write_text("no sound")
    asked = []

    def listen(waveform, language):
        asked.append(len(waveform))
        return "yes"

    run(corpus, listen)
    assert (corpus.parent / "out.csv.partial.jsonl").is_file()
    write_tone(clip, seconds=0.2)
    assert run(corpus, listen, overwrite=True).failures == ()
    assert asked == [6400, 3200]
    assert [row["text"] for row in read_rows(corpus.parent / "out.csv")][1:4:2] == ["yes", "yes"]
    assert not (corpus.parent / "out.csv.partial.jsonl").exists()


def test_row_without_audio_is_a_failure_only_if_it_has_no_text(corpus):
    write_manifest(corpus, [{**row, "audio": ""} for row in read_rows(corpus)])
    done = run(corpus)
    assert [(failure.row, failure.error) for failure in done.failures] == [
        (3, "names no audio file"),
        (5, "names no audio file"),
    ]


def refused(corpus: Path, match: str, recognizer=count_samples, **options) -> None:
    """Refuses, and writes nothing."""
    before = contents(corpus.parent)
    with pytest.raises(InputError, match=match):
        run(corpus, recognizer, **options)
    assert contents(corpus.parent) == before


def test_what_cannot_be_done_is_refused_before_anything_is_written(corpus):
    refused(corpus, "is the corpus itself", out="corpus.csv", overwrite=True)
    refused(corpus, "expected hf:MODEL", recognizer="whisper")
    (corpus.parent / "out.csv").write_text("precious")
    refused(corpus, r"out.csv: exists already; .*--overwrite")
    write_manifest(corpus, [{"sound": "a.wav"}])
    refused(corpus, "has no column 'audio'", out="other.csv")


# Going on after an interruption


def test_interrupted_run_goes_on_where_it_was(corpus):
    asked = []

    def interrupted(waveform, language):
        asked.append(len(waveform))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return f"heard {len(waveform)}"

    with pytest.raises(KeyboardInterrupt):
        run(corpus, interrupted, all_rows=True)
    assert not (corpus.parent / "out.csv").exists()
    assert run(corpus, interrupted, all_rows=True).transcribed == 5
    assert asked == [1600, 3200, 4800, 4800, 6400, 8000]
    assert [row["text"] for row in read_rows(corpus.parent / "out.csv")] == [
        f"heard {n}" for n in range(1600, 9600, 1600)
    ]
    assert not list(corpus.parent.glob("*.jsonl"))


def test_line_that_was_cut_off_is_written_again(corpus):
    partial = corpus.parent / "out.csv.partial.jsonl"
    record = {"row": 3, "audio": str(corpus.parent / "clips" / "1.wav"), "language": "en", "text": "ναι", "error": None}
    whole = json.dumps({"recognizer": "count_samples"}) + "\n" + json.dumps(record, ensure_ascii=False) + "\n"
    partial.write_bytes(whole.encode() + json.dumps({**record, "row": 5}, ensure_ascii=False).encode()[:60])
    assert run(corpus).transcribed == 2
    assert [row["text"] for row in read_rows(corpus.parent / "out.csv")][1:4:2] == ["ναι", "it 6400"]


def test_other_recognizer_does_not_go_on(corpus):
    partial = corpus.parent / "out.csv.partial.jsonl"
    partial.write_text('{"recognizer": "hf:openai/whisper-small"}\n')
    refused(corpus, "was begun by the recognizer hf:openai/whisper-small; delete it")
    partial.write_text("these are no results\n")
    refused(corpus, r"partial.jsonl: is damaged .*delete it")


def test_same_recording_is_heard_once(corpus):
    write_manifest(corpus, [{**row, "audio": "clips/0.wav", "text": "", "language": "en"} for row in read_rows(corpus)])
    asked = []
    assert run(corpus, lambda waveform, language: asked.append(language) or "yes").transcribed == 5
    assert asked == ["en"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_killed_command_goes_on_where_it_was(corpus):
    """A program that hangs on its second recording until that is not asked of it any more."""
    log, gate = corpus.parent / "log", corpus.parent / "gate"
    code = (
        "import os, sys, time; name = os.path.basename(sys.argv[1]); log, gate = sys.argv[2:]; "
        "open(log, 'a').write(name + '\\n'); "
        "time.sleep(0 if name != '1.wav' or os.path.exists(gate) else 20); print('heard', name)"
    )
    recognizer = "command:" + shlex.join([sys.executable, "-c", code, "{audio}", str(log), str(gate)])
    out = corpus.parent / "out.csv"
    arguments = ["transcribe", str(corpus), "--out", str(out), "--all", "--recognizer", recognizer]
    process = subprocess.Popen([sys.executable, "-m", "pathosnet", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while not log.exists() or "1.wav" not in log.read_text():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert not out.exists()
    gate.touch()
    cli.main(arguments)
    assert log.read_text().split() == ["0.wav", "1.wav", "1.wav", "2.wav", "3.wav", "4.wav"]
    assert [row["text"] for row in read_rows(out)] == [f"heard {i}.wav" for i in range(5)]


# The command line


@pytest.fixture
def recognizer(corpus, monkeypatch) -> str:
    (corpus.parent / "fake_recognizer.py").write_text("def listen(waveform, language):\n    return 'go away'\n")
    monkeypatch.syspath_prepend(corpus.parent)
    return "python:fake_recognizer:listen"


def test_command_prints_the_table(corpus, recognizer, capsys):
    out = corpus.parent / "out.csv"
    cli.main(["transcribe", str(corpus), "--out", str(out), "--recognizer", recognizer, "--all"])
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == f"{out}: 5 rows, 5 transcribed, 0 failed"
    assert [line.split()[0] for line in lines[2:]] == ["language", "–", "en", "it", "all"]
    assert read_rows(out)[0]["text"] == "go away"


def test_command_prints_json_and_exits_with_2_after_failures(corpus, recognizer, capsys):
    (corpus.parent / "clips" / "1.wav").write_text("no sound")
    out = corpus.parent / "out.csv"
    with pytest.raises(SystemExit) as caught:
        cli.main(["transcribe", str(corpus), "--out", str(out), "--recognizer", recognizer, "--all", "--json"])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["rows"], report["transcribed"]) == (5, 4)
    assert report["errors_by_language"]["en"]["wer"] == 0.0
    assert [failure["row"] for failure in report["failures"]] == [3]
    first, last = captured.err.splitlines()
    assert first.startswith(f"{corpus}, row 3: {corpus.parent / 'clips' / '1.wav'}: cannot be read as audio")
    assert last.startswith("error: 1 of 5 recordings could not be transcribed")
    assert [row["text"] for row in read_rows(out)][:2] == ["go away", ""]


def test_command_without_references_says_so(corpus, recognizer, capsys):
    cli.main(["transcribe", str(corpus), "--out", str(corpus.parent / "out.csv"), "--recognizer", recognizer])
    assert capsys.readouterr().out.splitlines()[-1].startswith("WER and CER are not known")


def test_timeout_must_be_positive(corpus, recognizer, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(
            [
                "transcribe",
                str(corpus),
                "--out",
                str(corpus.parent / "out.csv"),
                "--recognizer",
                recognizer,
                "--timeout=0",
            ]
        )
    assert caught.value.code == 2
    assert "timeout: expected seconds above 0, got 0" in capsys.readouterr().err
