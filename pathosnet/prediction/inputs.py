"""From what a person names (files, folders, patterns, CSV tables) to predictions, one for each recording."""

import glob
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pathosnet.audio.decoding import audio_suffixes
from pathosnet.audio.read_ahead import naming_row, read_ahead
from pathosnet.audio.reading import SAMPLE_RATE, Recording
from pathosnet.corpora.tables import read_table
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.files import locate, relative_path, to_path, walk_files
from pathosnet.prediction.stream import Utterance, predict_stream
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

TABLE_SUFFIX = ".csv"
SKIPPED_SHOWN = 3  # names of files that are left out


@dataclass(frozen=True)
class PredictionInput:
    """A recording, a text, or both, to predict."""

    audio: Path | None
    text: str | None = None
    language: str | None = None
    where: str = ""
    """Table and row."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The other cells of its row, as they are spelled."""

    @property
    def name(self) -> str:
        """File, row or text, for a person."""
        return str(self.audio) if self.audio else self.where or self.text or "nothing"


def find_inputs(
    inputs: Sequence[str | Path], text: str | None = None, language: str | None = None
) -> list[PredictionInput]:
    """Lists the recordings that are meant.

    Args:
        inputs: recordings; folders, searched with all that is in them; patterns such as ``clips/**/*.wav``; CSV tables
            with the columns ``audio`` (relative to the table) or ``text`` or both, and perhaps ``language``. Hidden
            files in folders are left out.
        text: what is said, where no row says it.
        language: of the text, where no row says it.

    Returns:
        In the order of ``inputs``; within a folder or pattern by name; within a table by row.

    Raises:
        InputError: a folder, pattern or table holds nothing, or a table cannot be read.
    """
    suffixes = audio_suffixes()
    found: list[PredictionInput] = []
    for given in inputs:
        path = to_path(given)
        if path.suffix.lower() == TABLE_SUFFIX and not path.is_dir():
            found += _read_rows(path, text, language)
            continue
        if path.is_dir():
            audios = [file for file in walk_files(path) if file.suffix.lower() in suffixes]
        elif glob.has_magic(str(given)) and not path.exists():
            matches = map(Path, glob.glob(str(path), recursive=True))
            audios = sorted(file for file in matches if file.suffix.lower() in suffixes and _is_visible(file))
        else:
            audios = [path]  # reading it says if it is none
        if not audios:
            raise InputError(f"{given}: no recordings found; expected files such as .wav, .flac, .ogg or .mp3")
        found += [PredictionInput(audio, text, language) for audio in audios]
    return found


def describe_skipped(folder: str | Path) -> str:
    """Says which files of a folder ``find_inputs`` leaves out because of their endings; empty if none."""
    suffixes = audio_suffixes()
    skipped = [file.name for file in walk_files(to_path(folder)) if file.suffix.lower() not in suffixes]
    if not skipped:
        return ""
    named = ", ".join(skipped[:SKIPPED_SHOWN]) + (", …" if len(skipped) > SKIPPED_SHOWN else "")
    what = "1 file that is no recording" if len(skipped) == 1 else f"{len(skipped)} files that are no recordings"
    return f"{folder}: left out {what} ({named})"


def _is_visible(file: Path) -> bool:
    is_hidden = any(part.startswith(".") and part not in (".", "..") for part in file.parts)
    return not is_hidden and file.is_file()


def _read_rows(path: Path, text: str | None, language: str | None) -> list[PredictionInput]:
    table = read_table(path, ())
    if not {"audio", "text"} & {name.lower() for name in table.header}:
        raise InputError(f"{path}: expected a column 'audio' or 'text', got {', '.join(table.header)}")
    rows = [
        PredictionInput(
            audio=_find_audio(path, number, row.get("audio", "")),
            text=row.get("text") or text,
            language=row.get("language") or language,
            where=f"{path}, row {number}",
            columns={
                name: cell for name, cell in zip(table.header, cells, strict=True) if name.lower() not in ("", "audio")
            },
        )
        for (number, row), (_, cells) in zip(table.dicts(), table.rows, strict=True)
    ]
    if not rows:
        raise InputError(f"{path}: holds no rows; expected one for each recording under the header")
    return rows


def _find_audio(path: Path, number: int, name: str) -> Path | None:
    try:
        return locate(path.parent, name) if name else None
    except InputError as error:
        raise InputError(f"{path}, row {number}: {error}") from error


def predict_inputs(
    model: PathosNet,
    inputs: Sequence[PredictionInput],
    *,
    workers: int | None = None,
    progress: bool = True,
    batch_size: int = 32,
    profiles: Sequence[Profile | None] | None = None,
) -> Iterator[tuple[PredictionInput, Prediction | InputError]]:
    """Predicts recordings and texts; what cannot be used does not stop the others.

    Args:
        model: to ask.
        inputs: see ``find_inputs``.
        workers: processes that read and resample; 0 for this one, None for as many as suit.
        progress: show a progress bar, if there is a terminal to show it.
        batch_size: how many go through the network together; a batch is in memory.
        profiles: of the speaker of each input, see ``pathosnet.prediction.adaptation``.

    Yields:
        Each input, in order, with its prediction or the reason why it has none.
    """
    bar = tqdm(total=len(inputs), desc="predictions", unit="input", leave=False, disable=None if progress else True)
    heard, started = 0.0, time.perf_counter()

    def utterances() -> Iterator[Utterance]:
        nonlocal heard
        known = profiles or [None] * len(inputs)
        for one, recording, profile in zip(inputs, read_ahead(inputs, workers), known, strict=True):
            heard += len(recording) / SAMPLE_RATE if isinstance(recording, Recording) else 0.0
            yield Utterance(recording, one.text, one.language, profile)

    with bar:
        for one, answer in zip(inputs, predict_stream(model, utterances(), batch_size), strict=True):
            bar.set_postfix_str(f"{heard / (time.perf_counter() - started):.0f} s of audio a second", refresh=False)
            bar.update()
            yield one, _named(answer, one) if isinstance(answer, InputError) else answer


def _named(error: InputError, one: PredictionInput) -> InputError:
    """Makes sure that an error says which input it is about."""
    if str(one.where or one.audio or "") in str(error):
        return error
    try:
        with naming_row(one):
            raise InputError(f"{one.audio}: {error}" if one.audio else str(error))
    except InputError as named:
        return named


def relative_audio(audio: Path | None, folder: Path) -> str:
    """Names a recording as tables do: relative to the folder that holds the table, unless it was absolute."""
    if audio is None or audio.is_absolute():
        return str(audio or "")
    return relative_path(audio, folder)
