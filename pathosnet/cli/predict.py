"""``pathosnet predict``."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say, say_written
from pathosnet.errors import InputError
from pathosnet.files import to_path
from pathosnet.options import Values
from pathosnet.prediction.segmentation import Cutting
from pathosnet.recognizer.shipped import split_model

if TYPE_CHECKING:
    from pathosnet.prediction.inputs import PredictionInput
    from pathosnet.prediction.timeline import Segment
    from pathosnet.recognizer.prediction import Prediction
    from pathosnet.recognizer.recognizer import PathosNet

Adaptation = Literal["none", "speaker", "all"]
SOME_FAILED = 1
"""The exit code where something could not be used and the rest was predicted."""


def predict(
    inputs: Values = Values(),
    *,
    text: str | None = None,
    language: str | None = None,
    json: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    adapt: Adaptation = "none",
    profile: Path | None = None,
    abstain: float | None = None,
    device: str = "cpu",
    workers: int | None = None,
    timeline: Path | None = None,
    plot: Path | None = None,
    transcript: Path | None = None,
    speakers: Path | None = None,
    cutting: Cutting,
) -> None:
    """Recognize the emotions of recordings, or of one long recording over time.

    Inputs are recordings, folders, quoted patterns ('clips/**/*.wav') and CSV files with the columns audio, text and
    language, as far as they are known. Recordings that cannot be used do not stop the others; the exit code is then 1.

    A model that reads text and voice answers from one of them, too, but reliably only if it was trained with
    --modality-dropout. With --timeline or --plot, one long recording is cut into segments.

    Args:
        inputs: A model first, if it is not to be the default one: the folder of a run or a model, base, small, or a
            name on the hub. Then what to predict; nothing with --text predicts text alone.
        text: What is said (where no row of a CSV file says it).
        language: Of the text, such as it; found out if not given.
        json: Print one JSON object a line.
        out: Write a .csv or .jsonl file; it appears when all is done.
        overwrite: Replace files that exist.
        adapt: Adapt to each speaker's recordings, without labels: speaker (the column speaker of a CSV file, else the
            folder, says who speaks; in a long recording, the transcript), all (one speaker; of a long recording all of
            its segments), or none. Not where somebody has the same emotion in all.
        profile: A speaker's profile that PathosNet.profile made and saved.
        abstain: Give no label that is less probable than this, such as 0.6; the probabilities are shown all the same.
        device: Where to compute: cpu, cuda, cuda:1, mps ...
        workers: Processes that read recordings; as many as suit if not given.
        timeline: Write the segments of one recording to a .csv or .jsonl file.
        plot: Draw the segments of one recording into a .png, .svg or .pdf file.
        transcript: What is said in it and when, and perhaps by whom: an .srt, .vtt or .rttm file, or Whisper's .json.
        speakers: Who speaks in it and when, such as an .rttm file, if the transcript does not say it.
        cutting: how a long recording is cut.
    """
    model, names = split_model(inputs)
    inputs = Values(names)
    check_abstain(abstain)
    if profile and adapt != "none":
        raise InputError("--adapt makes profiles, --profile takes one that was made; expected one of them")
    if timeline or plot:
        if len(inputs) != 1:
            raise InputError(f"--timeline and --plot take one recording, got {len(inputs)}")
        if text is not None:
            raise InputError("--text is for short recordings; give the words of a long one with --transcript FILE.srt")
        if out:
            raise InputError("--out is for several recordings; the segments of one are written to --timeline")
        _check_places(timeline, plot)
        loaded = load_to_answer(model, device, abstain)
        segments = _predict_timeline(
            loaded,
            inputs[0],
            timeline,
            overwrite=overwrite,
            cutting=cutting,
            transcript=transcript,
            speakers=speakers,
            language=language,
            abstain=abstain,
            adapt=adapt,
            profile=profile,
        )
        _report_timeline(inputs[0], segments, plot=plot, json=json)
        if not json:
            say_written(timeline, plot)
        return
    if transcript or speakers or cutting != Cutting():
        raise InputError("options for segments need --timeline FILE or --plot FILE")
    if not inputs and not (text and text.strip()):
        raise InputError("expected at least one recording, folder or CSV file, or --text")
    if workers is not None and workers < 0:
        raise InputError(f"workers: expected 0 or more, got {workers}")
    _check_places(out, None)
    _predict_inputs(
        load_to_answer(model, device, abstain),
        find_inputs_of(inputs, text, language),
        workers=workers,
        out=out,
        overwrite=overwrite,
        json=json,
        adapt=adapt,
        profile=profile,
        abstain=abstain,
    )


def _check_places(table: Path | None, plot: Path | None) -> None:
    from pathosnet.evaluation import check_plot_path
    from pathosnet.prediction.tables import check_table_path

    if table:
        check_table_path(table)
    if plot:
        check_plot_path(plot)


def _load(model: str, device: str) -> "PathosNet":
    import torch

    from pathosnet.recognizer.recognizer import PathosNet

    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # PyTorch has no kind of its own for this
        reason = str(error).splitlines()[0]
        raise InputError(f"device: expected one that PyTorch has here, got {device!r} ({reason})") from error
    return PathosNet.from_pretrained(model).to(device)


def check_abstain(abstain: float | None) -> None:
    """Refuses what is no probability, before a model is loaded."""
    if abstain is not None and not 0 <= abstain <= 1:
        raise InputError(f"abstain: expected a probability from 0 to 1, got {abstain}")


def load_to_answer(model: str, device: str, abstain: float | None) -> "PathosNet":
    """Loads a model on a device, one that can abstain if it is to."""
    loaded = _load(model, device)
    if abstain is not None and not loaded.target.classes:
        raise InputError("abstain: expected a model of emotions, got one that estimates numbers")
    return loaded


def _predict_inputs(
    model: "PathosNet",
    inputs: "list[PredictionInput]",
    *,
    workers: int | None,
    out: Path | None,
    overwrite: bool,
    json: bool,
    adapt: Adaptation,
    profile: Path | None,
    abstain: float | None,
) -> None:
    from pathosnet.features.profile import Profile
    from pathosnet.prediction.adaptation import make_profiles
    from pathosnet.prediction.inputs import predict_inputs
    from pathosnet.prediction.tables import table_written

    if profile:
        profiles: list[Profile | None] = [Profile.load(profile)] * len(inputs)
    else:
        profiles = make_profiles(model, inputs, adapt, workers=workers)
    failed = 0
    with ExitStack() as stack:
        add = stack.enter_context(table_written(out, _columns(inputs, model), overwrite)) if out else None
        for one, answer in predict_inputs(model, inputs, workers=workers, profiles=profiles):
            if isinstance(answer, InputError):
                failed += 1
                say(f"error: {' '.join(str(answer).split())}", sys.stderr)
            elif out or not json:  # else the JSON says it
                for warning in answer.warnings:
                    say(f"warning: {one.name}: {warning}", sys.stderr)
            if abstain is not None and not isinstance(answer, InputError):
                answer = answer.abstain(abstain)
            if add is not None:
                add(_record(one, answer, model, out=out))
            elif json:
                print_json(_record(one, answer, model))
            elif not isinstance(answer, InputError):
                say(f"{one.name}: {shown(answer)}")
    if out and json:
        print_json({"out": str(out), "predicted": len(inputs) - failed, "failed": failed})
    elif out:
        say(f"{out}: {len(inputs) - failed} predicted, {failed} failed")
    if failed:
        sys.exit(SOME_FAILED)


def find_inputs_of(names: Values, text: str | None, language: str | None) -> "list[PredictionInput]":
    """Lists what is to be predicted; a text alone if nothing else is named."""
    from pathosnet.prediction.inputs import PredictionInput, describe_skipped, find_inputs

    for name in names:
        if to_path(name).is_dir() and (skipped := describe_skipped(name)):
            say(f"note: {skipped}", sys.stderr)
    return find_inputs(names, text, language) or [PredictionInput(None, text, language)]


def _columns(inputs: "list[PredictionInput]", model: "PathosNet") -> list[str]:
    """Returns the output's columns: those that the inputs have, then the predictions."""
    known = dict.fromkeys(name for one in inputs for name in one.columns)
    audio = ["audio"] if any(one.audio for one in inputs) else []
    return [*audio, *known, *model.target.answer_columns, "error"]


def _record(
    one: "PredictionInput", answer: "Prediction | InputError", model: "PathosNet", out: Path | None = None
) -> dict[str, Any]:
    """Returns a row of the output as JSON values; paths in a CSV file are relative to it."""
    from pathosnet.prediction.inputs import relative_audio

    is_csv = out is not None and out.suffix.lower() == ".csv"
    audio = relative_audio(one.audio, out.parent) if out and is_csv else one.audio and str(one.audio)
    if isinstance(answer, InputError):
        unknown = {name: None for name in model.target.answer_columns if name not in model.labels}
        found: dict[str, Any] = {"error": " ".join(str(answer).split()), **unknown}
    else:
        found = answer.to_dict()
    return {"audio": audio, **found, **({"columns": dict(one.columns)} if one.columns else {})}


def shown(answer: "Prediction") -> str:
    """Says a prediction in one line."""
    label = answer.label or ("no answer" if answer.probabilities else "")
    values = _named(answer.values)
    return f"{label} ({values})" if label else values


def _named(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def _predict_timeline(
    model: "PathosNet",
    audio: str,
    table: Path | None,
    *,
    overwrite: bool,
    cutting: Cutting,
    transcript: Path | None,
    speakers: Path | None,
    language: str | None,
    abstain: float | None,
    adapt: Adaptation,
    profile: Path | None,
) -> "list[Segment]":
    from dataclasses import replace

    from pathosnet.features.profile import Profile
    from pathosnet.prediction.tables import table_written
    from pathosnet.prediction.timeline import COLUMNS, predict_timeline
    from pathosnet.prediction.transcripts import read_transcript

    told = [read_transcript(file, to_path(audio).stem) for file in (transcript, speakers) if file]
    named = any(cue.speaker for cues in told for cue in cues)
    found = predict_timeline(
        model,
        audio,
        cutting,
        transcript=transcript,
        speakers=speakers,
        language=language,
        adapt=adapt,
        profile=Profile.load(profile) if profile else None,
        progress=True,
    )
    if abstain is not None:
        found = (replace(segment, prediction=segment.prediction.abstain(abstain)) for segment in found)
    segments = []
    with ExitStack() as stack:
        columns = [*COLUMNS, *model.target.answer_columns, "text", *(["speaker"] if named else [])]
        add = stack.enter_context(table_written(table, columns, overwrite)) if table else None
        for segment in found:
            segments.append(segment)
            if add is not None:
                add(segment.to_dict())
    return segments


def _report_timeline(audio: str, segments: "Sequence[Segment]", *, plot: Path | None, json: bool) -> None:
    from pathosnet.prediction.timeline import overview
    from pathosnet.prediction.timeline_plot import plot_timeline

    if plot:
        plot_timeline(segments, plot)
    if json:
        print_json({"audio": audio, **overview(segments)})
    else:
        told = overview(segments)
        say(f"{audio}: {summed_up(told)}")
        for speaker, own in told.get("speakers", {}).items():
            say(f"  {speaker}: {summed_up(own)}")


def summed_up(told: Mapping[str, Any]) -> str:
    """Says in one line what ``overview`` found in a timeline."""
    shown = []
    if "shares" in told:
        shown.append(", ".join(f"{label} {share:.0%}" for label, share in told["shares"].items()) + " of it")
    if "means" in told:
        shown.append(f"means: {_named(told['means'])}")
    return f"{told['segments']} segment{'s' * (told['segments'] != 1)}, {told['seconds']:.1f} s ({'; '.join(shown)})"


COMMAND = Command(predict)
