"""Recordings, corpora, options and weights small enough to train on in a second."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import soundfile
import torch

from pathosnet import PathosNet
from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.evaluation import Predictions
from pathosnet.evaluation.predictions import ABOUT
from pathosnet.experiments.config import TrainConfig
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork

RATE = 16_000
PITCH = {"happiness": 1200.0, "anger": 600.0, "sadness": 150.0, "neutral": 300.0}
WORDS = {"happiness": "wonderful day", "anger": "go away now", "sadness": "all is lost", "neutral": "the door"}
TINY = {
    "epochs": 2,
    "text_width": 4,
    "audio_width": 4,
    "batch_size": 8,
    "accelerator": "cpu",
    "progress": False,
    "logger": "none",
}


def tiny_config(**changes: Any) -> TrainConfig:
    """Options of a run that takes less than a second."""
    return TrainConfig(**{**TINY, **changes})


def tone(seconds: float = 0.4, hertz: float = 300.0, rate: int = RATE, amplitude: float = 0.3) -> np.ndarray:
    """A sine, float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_tone(path: Path, seconds: float = 0.4, hertz: float = 300.0, rate: int = RATE) -> Path:
    """A sine as a file."""
    soundfile.write(path, tone(seconds, hertz, rate), rate)
    return path


def write_manifest(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A CSV whose header is the keys of the first row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_corpus(
    folder: Path,
    per_class: int = 8,
    seconds: tuple[float, float] = (0.3, 0.6),
    emotions: Iterable[str] = tuple(PITCH),
    num_speakers: int = 4,
    seed: int = 0,
    **columns: Any,
) -> Path:
    """A corpus whose emotions are pitches and words: 32 clips by 4 speakers, unless told otherwise.

    ``columns`` adds columns, or replaces those there are: a value for every row, or a function of the row's number
    (from 0) and emotion.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    rows = []
    for emotion in emotions:
        for i in range(per_class):
            name = f"{emotion}_{i}.wav"
            pitch = PITCH.get(emotion, 450.0) * generator.uniform(0.9, 1.1)
            write_tone(folder / name, generator.uniform(*seconds), pitch)
            text = f"{WORDS.get(emotion, 'something else')} {i % 3}"
            row = {"audio": name, "text": text, "emotion": emotion, "speaker": f"s{i % num_speakers}"}
            extra = {
                key: value(len(rows), emotion) if callable(value) else value
                for key, value in columns.items()
                if key != "emotion"
            }
            rows.append({**row, **extra})
    return write_manifest(folder / "corpus.csv", rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """A CSV's rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def random_vggish(output: str = "pool") -> VGGish:
    """VGGish whose random features differ enough from clip to clip to be told apart."""
    torch.manual_seed(1)
    return _with_larger_weights(VGGish(output))  # type: ignore[arg-type]


def random_thin_resnet34() -> ThinResNet34:
    """Thin ResNet-34 + GhostVLAD with random weights."""
    torch.manual_seed(2)
    return ThinResNet34().eval()


def random_model(audio: bool = True, text: bool = True) -> PathosNet:
    """Log-mel frames, hashed words, random weights whose answers differ from clip to clip."""
    torch.manual_seed(4)
    dims = {**({"logmel": 256} if audio else {}), **({"text": 300} if text else {})}
    network = EmotionNetwork(dims, 4, options=BranchOptions(text_width=6, audio_width=6))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=2.0 * parameter[0].numel() ** -0.5)
    embedder = TextEmbedder({"*": HashedWords(300)}) if text else None
    return PathosNet(network, {"logmel": LogMelExtractor()} if audio else {}, embedder)


def save_weights(path: Path, model: torch.nn.Module) -> Path:
    """Weights as a file that the loaders read: safetensors, or a state dict for .pth."""
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def write_vectors(path: Path, words: Sequence[str], dim: int = 300, seed: int = 0) -> Path:
    """A .vec file of random vectors."""
    generator = np.random.default_rng(seed)
    lines = [f"{len(words)} {dim}"]
    lines += [" ".join([word, *(f"{value:.4f}" for value in generator.normal(size=dim))]) for word in words]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def contents(folder: Path) -> set[str]:
    """Everything beneath a folder, hidden entries too, as relative paths."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _with_larger_weights(model: VGGish) -> VGGish:
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                torch.nn.init.uniform_(layer.bias, 0.0, 0.2)
    return model.eval()


def make_predictions(
    groups: Mapping[tuple[str, str], str] | None = None,
    per_group: int = 60,
    num_folds: int = 3,
    num_seeds: int = 1,
    labels: Sequence[str] = ("happiness", "anger", "sadness", "neutral"),
    skill: float = 1.5,
    text: str = "some words",
) -> Predictions:
    """Predictions that are mostly right. ``groups``: corpus and language → the first letters of its labels."""
    generator = np.random.default_rng(0)
    rows, truth, probabilities = [], [], []
    for (corpus, language), letters in (groups or {("a", "en"): "hasn"}).items():
        present = [i for i, label in enumerate(labels) if label[0] in letters]
        for i in range(per_group):
            label = present[i % len(present)]
            for seed in range(num_seeds):
                row = dict.fromkeys(ABOUT, "")
                row |= {"corpus": corpus, "language": language, "row": str(i + 2), "manifest": f"/{corpus}.csv"}
                row |= {"speaker": f"s{i % 7}", "audio": f"/{corpus}/{i}.wav", "text": text}
                rows.append({"seed": str(seed), "fold": str(i % num_folds), **row})
                truth.append(label)
                weights = np.full(len(labels), 0.7)
                weights[label] += skill
                probabilities.append(generator.dirichlet(weights))
    return Predictions(tuple(labels), tuple(rows), np.array(truth), np.array(probabilities))


def touch(folder: Path, *names: str) -> Path:
    """Files that stand for recordings; an import does not open them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"RIFF")
    return folder


def write_iemocap(root: Path, session: int = 1) -> Path:
    """Two dialogues of a session; of the scripted one, the woman's dialogue also holds what the man says."""
    folder = root / f"Session{session}"
    labels = {
        f"Ses0{session}F_impro05": [("F019", "ang"), ("M000", "exc"), ("F020", "hap"), ("M001", "xxx")],
        f"Ses0{session}M_script01_1b": [("F000", "neu"), ("M010", "sad"), ("M011", "fru"), ("M012", "abc")],
    }
    evaluations, transcripts = folder / "dialog/EmoEvaluation", folder / "dialog/transcriptions"
    for path in (evaluations / "Categorical", evaluations / "Self-evaluation", transcripts):
        path.mkdir(parents=True)
    for dialog, turns in labels.items():
        blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
        lines = []
        for number, (turn, code) in enumerate(turns):
            name = f"{dialog}_{turn}"
            blocks.append(
                f"[{140 + number}.2250 - 145.6000]\t{name}\t{code}\t[1.5000, 4.0000, 4.5000]\n"
                f"C-E1:\tHappiness;\t()\nA-E3:\tval 1; act 4; dom  5;\t()\n"
            )
            lines.append(f"{name} [006.2901-008.2357]: [LAUGHTER] It's  me,  {turn}. [BREATHING]")
            touch(folder, f"sentences/wav/{dialog}/{name}.wav")
        lines += [f"{dialog}_FXX0 [010.1-011.2]: Mmhm.", f"{dialog}_MXX1 [010.1-011.2]: No.", "M: that's", ""]
        (evaluations / f"{dialog}.txt").write_text("\n".join(blocks))
        (evaluations / f"._{dialog}.txt").write_bytes(b"\x00\x05\x16\x07")  # macOS
        (evaluations / "Categorical" / f"{dialog}_e1_cat.txt").write_text(f"{dialog}_F019 :Neutral; ()\n")
        (evaluations / "Self-evaluation" / f"{dialog}_f1_atr.txt").write_text(blocks[1].replace("ang", "neu"))
        (transcripts / f"{dialog}.txt").write_text("\n".join(lines))
    return root


def write_meld(folder: Path, parts=("train", "dev", "test")) -> Path:
    columns = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for part in parts:
        lines = [f'1,"Oh, {part}!",Monica,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"']
        lines += ['2,It’s me.,The Interviewer,neutral,neutral,0,1,8,21,"00:16:16,059","00:16:21,731"']
        (folder / f"{part}_sent_emo.csv").write_text("\n".join([columns, *lines]), encoding="utf-8")
    return folder
