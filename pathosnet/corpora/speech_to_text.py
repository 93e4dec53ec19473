"""Speech recognizers to plug in: Hugging Face pipelines, command lines, Python functions."""

import contextlib
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pathosnet.audio.reading import SAMPLE_RATE, load_audio
from pathosnet.errors import InputError

TranscribeFunction = Callable[[np.ndarray, str], str]
"""From a waveform ``(samples,)`` float32 at 16 kHz and its language, perhaps empty, to what is said."""
KINDS = "hf:MODEL, command:PROGRAM … {audio}, or python:MODULE:FUNCTION"
PLACEHOLDER = re.compile(r"\{(audio|language)\}")
WHISPER_WINDOW_SECONDS = 30


class Transcriber(Protocol):
    """Function that turns a recording into text."""

    def __call__(self, audio: Path, language: str) -> str:
        """Returns what is said in a file; the language may be empty.

        Raises:
            InputError: the recording cannot be used.
        """


def open_transcriber(name: str, timeout_seconds: float = 600.0) -> Transcriber:
    """Makes the recognizer that an option names.

    Args:
        name: ``hf:MODEL``, ``command:PROGRAM … {audio}`` or ``python:MODULE:FUNCTION``.
        timeout_seconds: for one recording; commands alone are held to it.

    Raises:
        InputError: there is no such recognizer.
    """
    kind, _, value = name.partition(":")
    if kind == "hf" and value:
        return FunctionTranscriber(HuggingFaceTranscriber(load_pipeline(value)))
    if kind == "command" and value:
        return CommandTranscriber(value, timeout_seconds)
    if kind == "python" and value:
        return FunctionTranscriber(import_function(value))
    raise InputError(f"recognizer: expected {KINDS}, got {name!r}")


class FunctionTranscriber:
    """Reads the recording and hands it to a function.

    Args:
        transcribe: the function.
    """

    def __init__(self, transcribe: TranscribeFunction) -> None:
        self.transcribe = transcribe

    def __call__(self, audio: Path, language: str) -> str:
        """Returns what is said in a file."""
        text = self.transcribe(load_audio(audio).numpy(), language)
        if not isinstance(text, str):
            raise InputError(f"{audio}: the recognizer returned {type(text).__name__}, expected a string")
        return text


class CommandTranscriber:
    """Runs a program for each recording; what it prints is the text. No shell is involved.

    Args:
        command: the program and its arguments, quoted as in a shell; ``{audio}`` becomes the file's absolute path and
            ``{language}`` the row's language after the arguments are parted, so that blanks in them do no harm.
        timeout_seconds: for one recording.

    Raises:
        InputError: no such program, or ``{audio}`` is missing.
    """

    def __init__(self, command: str, timeout_seconds: float = 600.0) -> None:
        try:
            self.arguments = shlex.split(command)
        except ValueError as error:
            raise InputError(f"recognizer: {command!r} cannot be parted into arguments ({error})") from error
        if not any("{audio}" in argument for argument in self.arguments):
            raise InputError(f"recognizer: expected {{audio}} somewhere in the command, got {command!r}")
        if shutil.which(self.arguments[0]) is None:
            raise InputError(f"recognizer: no such program: {self.arguments[0]}")
        self.timeout_seconds = timeout_seconds

    def __call__(self, audio: Path, language: str) -> str:
        """Returns what the program prints for a file."""
        if not audio.is_file():
            raise InputError(f"{audio}: no such audio file")
        if language.startswith("-"):  # the program would take it for an option
            raise InputError(f"expected a language such as en, got {language!r}")
        if not language and any("{language}" in argument for argument in self.arguments):
            raise InputError("has no language, which the recognizer's command asks for; fill in the column 'language'")
        filled = {"audio": str(audio.absolute()), "language": language}
        arguments = [PLACEHOLDER.sub(lambda match: filled[match[1]], argument) for argument in self.arguments]
        code, out, err = _run(arguments, self.timeout_seconds)
        if code:
            said = err.decode("utf-8", "replace").strip().splitlines()
            raise InputError(f"{audio}: {self.arguments[0]} failed with exit code {code}: {said[-1] if said else '–'}")
        try:
            return out.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{audio}: {self.arguments[0]} printed what is not UTF-8 ({error.reason})") from error


def _run(arguments: list[str], timeout_seconds: float) -> tuple[int, bytes, bytes]:
    """Runs a program; if time is up, or we are interrupted, whatever it has started is ended with it."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise InputError(f"{arguments[0]}: cannot be run ({error.strerror})") from error
    with process:
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except BaseException as error:
            _kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise InputError(f"{arguments[0]} did not end within {timeout_seconds:g} s; raise --timeout") from error
            raise
    return process.returncode, out, err


def _kill(process: subprocess.Popen[bytes]) -> None:
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended just now
        os.killpg(process.pid, signal.SIGKILL)


def import_function(name: str) -> TranscribeFunction:
    """Imports ``MODULE:FUNCTION``; modules in the current folder are found, too.

    Raises:
        InputError: there is no such function.
    """
    module_name, _, function_name = name.partition(":")
    if not function_name:
        raise InputError(f"recognizer: expected python:MODULE:FUNCTION, got python:{name}")
    path = list(sys.path)
    sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # it is somebody's program: anything can go wrong
        raise InputError(f"recognizer: python:{name} cannot be imported ({type(error).__name__}: {error})") from error
    finally:
        sys.path[:] = path
    if not callable(function):
        raise InputError(f"recognizer: python:{name} is {type(function).__name__}, expected a function")
    return function


class HuggingFaceTranscriber:
    """A pipeline for automatic speech recognition.

    Multilingual Whisper models are told the row's language; recordings above 30 s are read window by window.

    Args:
        pipeline: ``transformers.pipeline("automatic-speech-recognition")``.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        model = pipeline.model
        self.is_whisper = model.config.model_type == "whisper"
        self.takes_language = self.is_whisper and bool(getattr(model.generation_config, "is_multilingual", False))

    def __call__(self, waveform: np.ndarray, language: str) -> str:
        """Returns what is said."""
        options: dict[str, Any] = {}
        if self.takes_language and language:
            options["generate_kwargs"] = {"language": re.split("[-_]", language.lower())[0], "task": "transcribe"}
        if self.is_whisper and len(waveform) > WHISPER_WINDOW_SECONDS * SAMPLE_RATE:
            options["return_timestamps"] = True
        return str(self.pipeline({"raw": waveform, "sampling_rate": SAMPLE_RATE}, **options)["text"])


def load_pipeline(model: str) -> Any:
    """Opens a model of the Hugging Face hub, or of a folder, on the GPU if there is one.

    Code that comes with a model is never run.

    Raises:
        InputError: the transformers package or the model is missing, or it is no speech recognizer.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"hf:{model}: needs the transformers package; pip install 'pathosnet[asr]'") from error
    import torch

    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return transformers.pipeline(
            "automatic-speech-recognition", model=model, device=device, trust_remote_code=False
        )
    except Exception as error:  # every model and tokenizer has its own exceptions for damaged files
        reason = " ".join(str(error).split())
        raise InputError(f"hf:{model}: cannot be loaded as a speech recognizer ({reason[:300]})") from error
