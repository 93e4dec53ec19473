from pathlib import Path

import pytest
import torch
from making import random_model, tone, write_manifest, write_tone

from pathosnet import Prediction
from pathosnet.errors import InputError
from pathosnet.prediction.inputs import PredictionInput, describe_skipped, find_inputs, predict_inputs, relative_audio
from pathosnet.prediction.stream import Utterance, predict_stream


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings in folders, and what is none."""
    folder = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(("b.wav", "a.FLAC", "deep/down/c.ogg", "deep/a.wav", ".hidden/d.wav", "deep/._a.wav")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_tone(folder / name, 0.3 + 0.1 * i, 200.0 * (i + 1))
    (folder / "notes.txt").write_text("no recording")
    (folder / "fake.wav").mkdir()
    return folder


def audios(inputs, folder=None):
    return [str(one.audio.relative_to(folder) if folder else one.audio) for one in inputs]


def test_folders_are_searched_in_order_without_hidden_files(folder):
    assert audios(find_inputs([folder]), folder) == ["a.FLAC", "b.wav", "deep/a.wav", "deep/down/c.ogg"]


def test_a_folder_in_a_hidden_folder_may_be_named(folder):
    assert audios(find_inputs([folder / ".hidden"]), folder) == [".hidden/d.wav"]


def test_patterns_are_filled_in(folder):
    assert audios(find_inputs([f"{folder}/*"]), folder) == ["a.FLAC", "b.wav"]
    assert audios(find_inputs([f"{folder}/**/*.wav"]), folder) == ["b.wav", "deep/a.wav"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    write_tone(tmp_path / "a[1].wav")
    assert audios(find_inputs([tmp_path / "a[1].wav"]), tmp_path) == ["a[1].wav"]


def test_inputs_stay_in_their_order_and_files_may_be_called_anything(folder):
    given = [folder / "deep", "nowhere.xyz", folder / "b.wav"]
    assert [Path(name).name for name in audios(find_inputs(given))] == ["a.wav", "c.ogg", "nowhere.xyz", "b.wav"]


@pytest.mark.parametrize("given", ["empty", "empty/*.wav", "**/*.flac"])
def test_nothing_found_is_an_error(tmp_path, monkeypatch, given):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no recordings found; expected files such as"):
        find_inputs([given])


def test_rows_say_text_and_language_and_keep_their_columns(tmp_path):
    rows = [
        {"Audio": "clips/b.wav", "Text": "ciao", "language": "it", "ID": "7"},
        {"Audio": "", "Text": "hello", "language": "", "ID": "8"},
        {"Audio": "/a.wav", "Text": "", "language": "", "ID": "9"},
    ]
    path = write_manifest(tmp_path / "rows.csv", rows)
    first, second, third = find_inputs([path], text="anything", language="en")
    columns = {"Text": "ciao", "language": "it", "ID": "7"}
    assert first == PredictionInput(tmp_path / "clips/b.wav", "ciao", "it", where=f"{path}, row 2", columns=columns)
    assert (second.audio, second.text, second.language) == (None, "hello", "en")
    assert (third.audio, third.text, third.language) == (Path("/a.wav"), "anything", "en")
    assert third.columns["Text"] == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,words\na.wav,hm\n", r"rows\.csv: expected a column 'audio' or 'text', got file, words"),
        ("audio\n", r"rows\.csv: holds no rows"),
        ("audio,text\na.wav\n", r"rows\.csv, row 2: expected 2 cells, got 1"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        find_inputs([tmp_path / "rows.csv"])
    with pytest.raises(InputError, match=r"absent\.csv: cannot be read"):
        find_inputs([tmp_path / "absent.csv"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_what_cannot_be_used_does_not_stop_the_others(model, folder, tmp_path, workers, batch_size):
    (tmp_path / "bad.wav").write_text("no audio")
    inputs = [
        PredictionInput(folder / "a.FLAC", "hello"),
        PredictionInput(tmp_path / "bad.wav", where="rows.csv, row 3"),
        PredictionInput(tmp_path / "absent.wav"),
        PredictionInput(None, "only words"),
        PredictionInput(None, None, where="rows.csv, row 6"),
        PredictionInput(folder / "b.wav"),
    ]
    found = list(predict_inputs(model, inputs, workers=workers, progress=False, batch_size=batch_size))
    assert [one for one, _ in found] == inputs
    answers = [answer for _, answer in found]
    expected = [model.predict(one.audio, one.text) for one in (inputs[0], inputs[3], inputs[5])]
    for answer, alone in zip((answers[0], answers[3], answers[5]), expected, strict=True):
        assert isinstance(answer, Prediction)
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert str(answers[1]).startswith(f"rows.csv, row 3: {tmp_path / 'bad.wav'}: cannot be read as audio")
    assert str(answers[2]) == f"{tmp_path / 'absent.wav'}: no such audio file"
    assert str(answers[4]).startswith("rows.csv, row 6: this model reads audio or text: expected at least one")


def test_what_the_model_refuses_is_named(folder):
    """Reading the file succeeds here: it is the model that cannot use it."""
    silent = random_model(audio=False)
    ((_, answer),) = predict_inputs(silent, [PredictionInput(folder / "b.wav")], progress=False)
    assert str(answer).startswith(f"{folder / 'b.wav'}: this model reads text")


def test_batches_of_long_recordings_are_small(model, monkeypatch):
    monkeypatch.setattr("pathosnet.prediction.stream.SAMPLES_TOGETHER", 20_000)
    sizes = []
    predict = model.predict_batch
    monkeypatch.setattr(model, "predict_batch", lambda *a, **k: sizes.append(len(a[0])) or predict(*a, **k))
    waveform = torch.from_numpy(tone(0.5))  # 8000 samples
    answers = list(predict_stream(model, (Utterance(waveform) for _ in range(7))))
    assert (len(answers), sizes) == (7, [3, 3, 1])


def test_paths_in_a_table_are_relative_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert relative_audio(Path("clips/a.wav"), Path("out")) == str(Path("../clips/a.wav"))
    assert relative_audio(tmp_path / "a.wav", Path("out")) == str(tmp_path / "a.wav")
    assert relative_audio(None, Path("out")) == ""


def test_a_folder_says_what_it_leaves_out(tmp_path):
    for name in ("a.wav", "notes.txt", "list.pdf", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.flac").touch()
    assert describe_skipped(tmp_path) == f"{tmp_path}: left out 2 files that are no recordings (list.pdf, notes.txt)"
    for name in ("notes.txt", "list.pdf"):
        (tmp_path / name).unlink()
    assert describe_skipped(tmp_path) == ""
