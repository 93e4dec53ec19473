import json
import shlex
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from making import RATE, tone, write_tone

from pathosnet.corpora.speech_to_text import (
    CommandTranscriber,
    FunctionTranscriber,
    HuggingFaceTranscriber,
    open_transcriber,
)
from pathosnet.errors import InputError


@pytest.fixture
def clip(tmp_path):
    return write_tone(tmp_path / "a clip {language}.wav")


def command(code: str, *arguments: str) -> str:
    """A command line that runs some Python."""
    return " ".join([shlex.quote(sys.executable), "-c", shlex.quote(code), *arguments])


# Commands


def test_placeholders_are_filled_after_the_command_was_parted(clip):
    recognizer = CommandTranscriber(command("import sys; print(sys.argv[1:])", "--lang={language}", "{audio}", "'a b'"))
    assert recognizer(clip, "en; echo $HOME").strip() == str(["--lang=en; echo $HOME", str(clip), "a b"])


def test_relative_paths_reach_the_program_as_absolute_ones(clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    path = clip.relative_to(clip.parent)
    assert CommandTranscriber(command("import sys; print(sys.argv[1])", "{audio}"))(path, "").strip() == str(clip)


def test_text_is_read_as_utf_8(clip):
    recognizer = CommandTranscriber(command("import sys; sys.stdout.buffer.write('Καλημέρα'.encode())", "{audio}"))
    assert recognizer(clip, "el") == "Καλημέρα"
    with pytest.raises(InputError, match="printed what is not UTF-8"):
        CommandTranscriber(command("import sys; sys.stdout.buffer.write(bytes([255]))", "{audio}"))(clip, "")


def test_failing_program_is_an_error_with_its_last_line(clip):
    recognizer = CommandTranscriber(
        command("import sys; print('loading', file=sys.stderr); sys.exit('no memory')", "{audio}")
    )
    with pytest.raises(InputError, match=r"a clip .*failed with exit code 1: no memory"):
        recognizer(clip, "en")


def test_program_that_hangs_is_ended_with_all_it_started(clip):
    sleeper = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(30)'])"
    started = time.monotonic()
    with pytest.raises(InputError, match=r"did not end within 0.5 s; raise --timeout"):
        CommandTranscriber(command(sleeper, "{audio}"), timeout_seconds=0.5)(clip, "en")
    assert time.monotonic() - started < 10


def test_language_is_needed_only_if_the_command_asks_for_it(clip):
    assert CommandTranscriber(command("print('yes')", "{audio}"))(clip, "").strip() == "yes"
    recognizer = CommandTranscriber(command("print('yes')", "{audio}", "{language}"))
    with pytest.raises(InputError, match="has no language, which the recognizer's command asks for"):
        recognizer(clip, "")
    with pytest.raises(InputError, match="expected a language such as en, got '--evil'"):
        recognizer(clip, "--evil")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("whisper", "expected hf:MODEL, command:PROGRAM"),
        ("hf:", "expected hf:MODEL, command:PROGRAM"),
        ("command:no-such-program-here {audio}", "no such program: no-such-program-here"),
        (f"command:{shlex.quote(sys.executable)} -V", r"expected \{audio\} somewhere in the command"),
        ("command:python 'a {audio}", "cannot be parted into arguments"),
        ("python:json", "expected python:MODULE:FUNCTION, got python:json"),
        ("python:no_such_module_here:f", "python:no_such_module_here:f cannot be imported"),
        ("python::f", r"python::f cannot be imported \(ValueError: Empty module name\)"),
        ("python:.here:f", r"python:\.here:f cannot be imported \(TypeError: "),
        ("python:json:no_such_function", "has no attribute 'no_such_function'"),
        ("python:json:__name__", "is str, expected a function"),
    ],
)
def test_recognizer_that_is_none(name, message):
    with pytest.raises(InputError, match=message):
        open_transcriber(name)


# Functions


def test_function_gets_samples_and_language(tmp_path):
    path = write_tone(tmp_path / "clip.wav", seconds=0.5, rate=44_100)
    given = []
    FunctionTranscriber(lambda waveform, language: given.append((waveform, language)) or "")(path, "it")
    ((waveform, language),) = given
    assert isinstance(waveform, np.ndarray)
    assert (waveform.shape, waveform.dtype, language) == ((RATE // 2,), np.float32, "it")


def test_function_is_found_in_the_current_folder(tmp_path, clip, monkeypatch):
    (tmp_path / "my_own_recognizer.py").write_text("def listen(waveform, language):\n    return f'{language} words'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert open_transcriber("python:my_own_recognizer:listen")(clip, "en") == "en words"


def test_module_with_a_mistake_is_named(tmp_path, monkeypatch):
    (tmp_path / "my_mistaken_recognizer.py").write_text("def listen(waveform, language:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(InputError, match=r"my_mistaken_recognizer:listen cannot be imported \(SyntaxError: "):
        open_transcriber("python:my_mistaken_recognizer:listen")


def test_function_must_return_a_string(clip):
    with pytest.raises(InputError, match="the recognizer returned NoneType, expected a string"):
        FunctionTranscriber(lambda waveform, language: None)(clip, "en")


# Hugging Face


class StubPipeline:
    """Answers like a pipeline, with what it was given."""

    def __init__(self, model_type: str, **generation: object) -> None:
        config = SimpleNamespace(model_type=model_type)
        self.model = SimpleNamespace(config=config, generation_config=SimpleNamespace(**generation))

    def __call__(self, inputs, **options):
        return {"text": json.dumps([len(inputs["raw"]), inputs["sampling_rate"], options])}


@pytest.mark.parametrize(
    ("pipeline", "language", "expected"),
    [
        (StubPipeline("whisper", is_multilingual=True), "pt-BR", {"language": "pt", "task": "transcribe"}),
        (StubPipeline("whisper", is_multilingual=True), "", None),
        (StubPipeline("whisper", is_multilingual=False), "en", None),
        (StubPipeline("wav2vec2"), "en", None),
    ],
)
def test_language_is_passed_where_the_model_takes_it(pipeline, language, expected):
    samples, rate, options = json.loads(HuggingFaceTranscriber(pipeline)(tone(0.5), language))
    assert (samples, rate) == (RATE // 2, RATE)
    assert options == ({} if expected is None else {"generate_kwargs": expected})


def test_whisper_reads_long_recordings_window_by_window():
    long = np.zeros(31 * RATE, np.float32)
    assert json.loads(HuggingFaceTranscriber(StubPipeline("whisper"))(long, ""))[2] == {"return_timestamps": True}
    assert json.loads(HuggingFaceTranscriber(StubPipeline("wav2vec2"))(long, ""))[2] == {}


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"hf:a/b: needs the transformers package; pip install 'pathosnet\[asr\]'"):
        open_transcriber("hf:a/b")


@pytest.fixture
def wav2vec2(tmp_path):
    """A wav2vec 2.0 with random weights."""
    transformers = pytest.importorskip("transformers")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdef"]
    (tmp_path / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    transformers.Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json")).save_pretrained(tmp_path / "model")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "model")
    sizes = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_conv_pos_embeddings": 4}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_conv_pos_embedding_groups": 2}
    config = transformers.Wav2Vec2Config(
        vocab_size=len(letters), hidden_size=8, intermediate_size=8, pad_token_id=0, **sizes, **heads
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_pipeline_of_a_tiny_model(wav2vec2, clip):
    """Its letters mean nothing, but they are those of the pipeline."""
    text = open_transcriber(f"hf:{wav2vec2}")(clip, "en")
    assert text
    assert set(text) <= set("abcdef <unk>/s")


def test_damaged_model_is_an_error(wav2vec2):
    path = wav2vec2 / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="model: cannot be loaded as a speech recognizer"):
        open_transcriber(f"hf:{wav2vec2}")


def test_code_beside_a_model_is_not_run(wav2vec2, tmp_path):
    config = json.loads((wav2vec2 / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCTC": "mine.Mine"}}
    (wav2vec2 / "config.json").write_text(json.dumps(config))
    (wav2vec2 / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    with pytest.raises(InputError, match="model: cannot be loaded as a speech recognizer"):
        open_transcriber(f"hf:{wav2vec2}")
    assert not (tmp_path / "ran").exists()


def test_folder_without_a_model_is_an_error(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match="cannot be loaded as a speech recognizer"):
        open_transcriber(f"hf:{tmp_path}")
