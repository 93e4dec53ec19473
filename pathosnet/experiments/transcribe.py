"""Transcripts for corpora that have none, by a speech recognizer; how good they are where a text is known."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from pathosnet.corpora.speech_to_text import FunctionTranscriber, TranscribeFunction, Transcriber, open_transcriber
from pathosnet.corpora.tables import Table, read_table
from pathosnet.errors import InputError
from pathosnet.evaluation import WordErrors, measure_word_errors
from pathosnet.files import file_written_aside, to_path

REFERENCE = "reference_text"


@dataclass(frozen=True)
class Failure:
    """A row that could not be transcribed."""

    row: int
    audio: str
    error: str


@dataclass(frozen=True)
class Transcription:
    """A finished transcription."""

    out: Path
    rows: int
    transcribed: int
    """Rows whose text is the recognizer's."""
    failures: tuple[Failure, ...]
    errors: WordErrors | None
    """Word errors of all transcribed rows that have a reference; None if there are none."""
    errors_by_language: dict[str, WordErrors]

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**asdict(self), "out": str(self.out)}

    def table(self) -> str:
        """Returns word and character error rates for a person."""
        if self.errors is None:
            return "WER and CER are not known: no row that was transcribed has a text to compare with"
        rows = [*self.errors_by_language.items(), ("all", self.errors)]
        width = max(len("language"), *(len(language) for language, _ in rows))
        head = "language".ljust(width) + "utterances".rjust(12) + "words".rjust(9) + "WER".rjust(9) + "CER".rjust(9)
        return "\n".join(
            [head]
            + [
                f"{language or '–':<{width}}{found.utterances:>12}{found.words:>9}{found.wer:>9.1%}{found.cer:>9.1%}"
                for language, found in rows
            ]
        )


def transcribe(
    manifest: str | Path,
    out: str | Path,
    recognizer: str | TranscribeFunction,
    *,
    all_rows: bool = False,
    overwrite: bool = False,
    timeout_seconds: float = 600.0,
    progress: bool = True,
) -> Transcription:
    """Writes a manifest whose texts a speech recognizer has heard.

    All columns stay. ``text`` becomes the recognizer's in rows that have none, or in all; what stood there is kept in
    the column ``reference_text``, which wins over ``text`` if the manifest has it already. Audio paths are made
    relative to the new file; absolute ones stay.

    Each result is written at once into ``OUT.partial.jsonl``. Called again after an interruption, recordings that were
    transcribed are not transcribed again; those that failed are. The manifest appears whole at the end; if recordings
    failed, their text is empty, and the partial file stays, so that they alone can be tried again.

    Args:
        manifest: a CSV file with the column ``audio``; ``text`` and ``language`` if they are known.
        out: the CSV file to write.
        recognizer: see ``open_transcriber``, or a function.
        all_rows: transcribe rows that have a text, too.
        overwrite: replace ``out`` if it is there.
        timeout_seconds: for one recording, if the recognizer is a command.
        progress: show a progress bar.

    Raises:
        InputError: the manifest or the recognizer cannot be used.
    """
    manifest, out = to_path(manifest), to_path(out)
    if out.resolve() == manifest.resolve():
        raise InputError(f"{out}: is the corpus itself; choose another file to write")
    table = read_table(manifest, ("audio",))
    rows = table.dicts()
    if not rows:
        raise InputError(f"{manifest}: holds no utterances; expected a row for each under the header")
    references = {number: row.get(REFERENCE, row.get("text", "")) for number, row in rows}
    wanted = [(number, row) for number, row in rows if all_rows or not row.get("text")]
    with file_written_aside(out, overwrite) as aside:
        found, failures = _recognise(
            manifest, wanted, out, recognizer=recognizer, timeout_seconds=timeout_seconds, progress=progress
        )
        _write(
            aside,
            table,
            manifest.parent,
            target=out.parent,
            texts={n: found.get(n, "") for n, _ in wanted},
            references=references,
        )
    if not failures:
        _partial_path(out).unlink(missing_ok=True)
    compared = [(row.get("language", ""), references[n], found[n]) for n, row in wanted if n in found]
    languages = sorted({language for language, _, _ in compared})
    by_language = {name: _errors([pair for pair in compared if pair[0] == name]) for name in languages}
    return Transcription(
        out,
        len(rows),
        len(found),
        failures=tuple(failures),
        errors=_errors(compared),
        errors_by_language={name: errors for name, errors in by_language.items() if errors is not None},
    )


def _errors(compared: Sequence[tuple[str, str, str]]) -> WordErrors | None:
    return measure_word_errors([reference for _, reference, _ in compared], [text for _, _, text in compared])


def _recognise(
    manifest: Path,
    wanted: Sequence[tuple[int, dict[str, str]]],
    out: Path,
    recognizer: str | TranscribeFunction,
    timeout_seconds: float,
    progress: bool,
) -> tuple[dict[int, str], list[Failure]]:
    """Transcribes the rows that no earlier run has; returns row → text, and what failed."""
    name = recognizer if isinstance(recognizer, str) else getattr(recognizer, "__qualname__", type(recognizer).__name__)
    recognise = _opened(recognizer, timeout_seconds)
    found: dict[int, str] = {}
    failures: list[Failure] = []
    with _partial_results(_partial_path(out), name) as (known, file):
        for number, row in tqdm(
            wanted, "transcripts", unit="utterance", leave=False, disable=None if progress else True
        ):
            audio = os.path.abspath(manifest.parent / row["audio"]) if row["audio"] else ""
            key = (audio, row.get("language", ""))
            if key not in known:
                text, error = _try(recognise, *key)
                record = {"row": number, "audio": audio, "language": key[1], "text": text, "error": error}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
                if error is not None:
                    failures.append(Failure(number, row["audio"], error))
                    continue
                known[key] = text
            found[number] = known[key]
    return found, failures


def _opened(recognizer: str | TranscribeFunction, timeout_seconds: float) -> Transcriber:
    if isinstance(recognizer, str):
        return open_transcriber(recognizer, timeout_seconds)
    return FunctionTranscriber(recognizer)


def _try(recognise: Transcriber, audio: str, language: str) -> tuple[str, str | None]:
    """Returns the text in one line, or why there is none."""
    if not audio:
        return "", "names no audio file"
    try:
        return " ".join(recognise(Path(audio), language).split()), None
    except InputError as error:
        return "", str(error)
    except Exception as error:  # the recognizer's own; the other recordings go on
        return "", f"{audio}: {type(error).__name__}: {' '.join(str(error).split())}"


def _partial_path(out: Path) -> Path:
    return out.with_name(out.name + ".partial.jsonl")


@contextmanager
def _partial_results(path: Path, recognizer: str) -> Iterator[tuple[dict[tuple[str, str], str], TextIO]]:
    """Opens the file of results so far: (audio, language) → text, and where to add the next.

    Its first line names the recognizer; a last line that was cut off by a crash is dropped.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        file = path.open("a", encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
    with file:
        try:
            lines = [json.loads(line) for line in whole.decode("utf-8").split("\n")[:-1]]
            begun_by = lines[0]["recognizer"] if lines else recognizer
            known = {(line["audio"], line["language"]): line["text"] for line in lines[1:] if line["error"] is None}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is damaged ({error!r}); delete it to begin anew") from error
        if begun_by != recognizer:
            raise InputError(f"{path}: was begun by the recognizer {begun_by}; delete it to begin anew with another")
        if not lines:
            file.write(json.dumps({"recognizer": recognizer}, ensure_ascii=False) + "\n")
            file.flush()
        yield known, file


def _write(
    path: Path, table: Table, source: Path, target: Path, texts: dict[int, str], references: dict[int, str]
) -> None:
    names = [name.lower() for name in table.header]
    added = [name for name in ("text", REFERENCE) if name not in names]
    columns = [*names, *added]
    audio, text, reference = (columns.index(name) for name in ("audio", "text", REFERENCE))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*table.header, *added))
        for number, cells in table.rows:
            row = [*cells, *("" for _ in added)]
            row[audio] = _moved(row[audio], source, target)
            row[text] = texts.get(number, row[text])
            row[reference] = references[number]
            writer.writerow(row)


def _moved(audio: str, source: Path, target: Path) -> str:
    """Makes a path that was relative to one folder relative to another."""
    if not audio or Path(audio).is_absolute():
        return audio
    absolute = source.resolve() / audio
    if source.resolve() == target.resolve():
        return audio
    try:
        return os.path.relpath(absolute, target.resolve())
    except ValueError:  # another drive
        return str(absolute)
