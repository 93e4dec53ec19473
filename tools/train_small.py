"""Trains ``small``, the model that needs nothing but the package: MelCNN, taught by ``base``, under a small perceptron.

    python tools/train_small.py cremad/manifest.csv --out small --work work

The manifest has the columns audio, emotion and speaker, and perhaps the crowd's votes (``votes_anger``, …). All six
emotions of CREMA-D teach the network, the four of the paper its last layers. Spectrograms, the teacher's features and
the state of training are kept in the work folder: a run that was stopped goes on where it was. Two cores need about an
hour for CREMA-D, most of it the teacher's features (``--teacher none`` leaves them out, at a loss).
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pathosnet import PathosNet
from pathosnet.audio.level import normalize_level
from pathosnet.audio.reading import read_recording
from pathosnet.backbones import MelCNN
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.features.acoustic.extractors import MelCNNExtractor
from pathosnet.features.acoustic.relative_mel import FLOOR_DECIBELS, NUM_BANDS, cut_edges, mel_decibels, relative
from pathosnet.features.profile import SHRINKAGE, ProfileCalibration
from pathosnet.models import EmotionNetwork
from pathosnet.models.network import BranchOptions

EMOTIONS = (*PAPER_EMOTIONS, "disgust", "fear")
SPEAKERS, CLIPS, FRAMES = 8, 12, 96  # of a batch: speakers, clips of each, frames of a clip
TEACHER_DIMS = 256
PROFILE_SIZES = (0, 1, 3, 5, 10, 20, -1)  # -1: all clips of the speaker
HIDDEN, SEEDS, HEAD_EPOCHS, HEAD_RATE, HEAD_BATCH = 128, 5, 15, 2e-3, 256
CALIBRATION = 2.3  # fitted on corpora in other languages; so is the next
PROFILE_CALIBRATION = ProfileCalibration(1.2, 1.0)


@dataclass
class Data:
    """Clips: spectrograms in decibels ``(80, frames)``, soft labels ``(clips, 6)``, intended emotions."""

    spectrograms: list[Tensor]
    labels: Tensor
    emotions: Tensor
    speakers: np.ndarray
    paths: list[Path]
    taught: Tensor | None = None


def read_corpus(manifest: Path, work: Path) -> Data:
    """Reads a manifest and makes the spectrograms, or finds them in the work folder."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["emotion"] in EMOTIONS]
    paths = [manifest.parent / row["audio"] for row in rows]
    kept = work / "spectrograms.pt"
    if not kept.exists():
        waveforms = (normalize_level(read_recording(path).waveform, "peak") for path in paths)
        torch.save([cut_edges(mel_decibels(waveform)).half() for waveform in waveforms], kept)
    spectrograms = torch.load(kept, weights_only=True)
    emotions = torch.tensor([EMOTIONS.index(row["emotion"]) for row in rows])
    intended = functional.one_hot(emotions, len(EMOTIONS)).float()
    votes = torch.tensor([[float(row.get(f"votes_{emotion}") or 0) for emotion in EMOTIONS] for row in rows])
    counts = votes.sum(dim=1, keepdim=True)
    labels = torch.where(counts > 0, 0.5 * votes / counts.clamp_min(1) + 0.5 * intended, intended)
    speakers = np.unique([row["speaker"] for row in rows], return_inverse=True)[1]
    return Data(spectrograms, labels, emotions, speakers=speakers, paths=paths)


def teach(data: Data, teacher: str, work: Path) -> Tensor:
    """Returns principal components of the teacher's standardized features, ``(clips, 256)`` with mean square 1."""
    kept = work / "teacher.pt"
    if not kept.exists():
        model = PathosNet.from_pretrained(teacher)
        (extractor,) = model.extractors.values()
        features = [extractor(read_recording(path).waveform).mean(dim=0) for path in data.paths]
        torch.save(torch.stack(features), kept)
    features = torch.load(kept, weights_only=True)
    features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-5)
    components = torch.linalg.svd(features[::3], full_matrices=False).Vh[:TEACHER_DIMS]
    taught = features @ components.T
    return taught / taught.square().mean().sqrt()


class Student(nn.Module):
    """The network, and what it is trained through: six emotions, and the teacher's features."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MelCNN()
        self.dropout = nn.Dropout(0.2)
        self.emotions = nn.Linear(self.network.feature_dim, len(EMOTIONS))
        self.taught = nn.Linear(self.network.feature_dim, TEACHER_DIMS)


def curves(count: int, knots: int, random: torch.Generator) -> Tensor:
    """Draws smooth curves over the bands, ``(count, 80)``."""
    drawn = torch.randn(count, 1, knots, generator=random)
    return functional.interpolate(drawn, size=NUM_BANDS, mode="linear", align_corners=True)[:, 0]


def degrade(decibels: Tensor, groups: Tensor, random: torch.Generator) -> Tensor:
    """Changes voice, room, microphone, telephone and noise of spectrograms ``(clips, 80, frames)``.

    Args:
        decibels: the clips.
        groups: clips of one number share a channel, ``(clips,)``.
        random: draws.
    """
    clips, bands, frames = decibels.shape
    count = int(groups.max()) + 1

    def draw(*size: int) -> Tensor:
        return torch.rand(*size, generator=random)

    def of_group(values: Tensor) -> Tensor:
        return values[groups][:, None, None]

    # Speed and the length of the vocal tract: a stretch of time, a stretch of frequency.
    grid = torch.zeros(clips, 2, 3)
    grid[:, 0, 0] = 1 + 0.3 * (draw(clips) - 0.5)
    grid[:, 1, 1] = 1 + 0.12 * (draw(clips) - 0.5)
    grid[:, 1, 2] = grid[:, 1, 1] - 1
    places = functional.affine_grid(grid, [clips, 1, bands, frames], align_corners=False)
    decibels = functional.grid_sample(decibels[:, None], places, padding_mode="border", align_corners=False)[:, 0]
    # A room smears power over 240 ms.
    decay = 0.15 + 0.6 * draw(count)
    wet = 0.3 * draw(count) * (draw(count) < 0.4)
    kernel = torch.exp(-13.8 * 0.02 * torch.arange(12) / decay[:, None]) * wet[:, None]
    kernel[:, 0] = 1
    power = functional.pad(torch.pow(10.0, decibels / 10).transpose(0, 1), (11, 0))  # (bands, clips, frames)
    power = functional.conv1d(power, kernel.flip(1)[groups][:, None], groups=clips).transpose(0, 1)
    decibels = 10 * torch.log10(power + 1e-9)
    # Equalizers, a tilt, a telephone or a low-pass.
    gains = curves(count, 6, random) * 4 * (draw(count, 1) < 0.7)
    gains = gains + curves(count, 5, random) * 4 * (draw(count, 1) < 0.5)
    gains = gains + 12 * (draw(count, 1) - 0.5) * torch.linspace(-1, 1, bands)
    telephone, low_pass = draw(count) < 0.15, draw(count) < 0.15
    low = torch.where(telephone, 14.0, 0.0)[:, None]
    high = torch.where(telephone, 60.0, torch.where(low_pass, 50 + 30 * draw(count), 80.0))[:, None]
    band = torch.arange(float(bands))
    gains = gains - 45 * ((band < low) | (band >= high))
    decibels = decibels + gains[groups][:, :, None]
    # Colored noise, 8 to 50 dB under speech.
    level = decibels.amax((1, 2), keepdim=True) - 15 - of_group(8 + 42 * draw(count))
    noise = level + (8 * curves(count, 3, random))[groups][:, :, None]
    noise = noise + 1.5 * torch.randn(decibels.shape, generator=random)
    noisy = 10 * torch.log10(torch.pow(10.0, decibels / 10) + torch.pow(10.0, noise / 10))
    return torch.where(of_group(draw(count) < 0.8), noisy, decibels)


def masked(inputs: Tensor, random: torch.Generator) -> Tensor:
    """Hides two stripes of up to 9 bands and two of up to 13 frames of each of ``(clips, 2, 80, frames)``."""
    for clip in inputs:
        for dim, longest in ((1, 10), (2, 14)) * 2:
            length = int(torch.randint(longest, (), generator=random))
            start = int(torch.randint(clip.shape[dim] - length, (), generator=random))
            clip.narrow(dim, start, length).zero_()
    return inputs


def cropped(spectrogram: Tensor, random: np.random.Generator) -> Tensor:
    """Takes 96 frames; of a shorter clip, repeated."""
    frames = spectrogram.shape[1]
    repeated = spectrogram.repeat(1, -(-FRAMES // frames))
    start = random.integers(max(1, frames - FRAMES + 1))
    return repeated[:, start : start + FRAMES].float()


def batches(data: Data, seed: int, start: int, steps: int) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yields clips, speaker by speaker, and the inputs made of them; each step has draws of its own."""
    by_speaker = [np.flatnonzero(data.speakers == number) for number in range(data.speakers.max() + 1)]
    for step in range(start, steps):
        random = np.random.default_rng([seed, step])
        drawn = torch.Generator().manual_seed(int(random.integers(2**31)))
        speakers = random.choice(len(by_speaker), SPEAKERS, replace=len(by_speaker) < SPEAKERS)
        chosen = [random.choice(by_speaker[one], CLIPS, replace=len(by_speaker[one]) < CLIPS) for one in speakers]
        clips = np.concatenate(chosen)
        alone = random.random() < 0.5  # every clip has a channel of its own, or every speaker has one
        groups = torch.arange(len(clips)) if alone else torch.arange(SPEAKERS).repeat_interleave(CLIPS)
        decibels = degrade(torch.stack([cropped(data.spectrograms[i], random) for i in clips]), groups, drawn)
        floors = FLOOR_DECIBELS - 7 + 14 * torch.rand(len(clips), 1, 1, generator=drawn)
        yield clips, masked(relative(decibels, floors), drawn)


def loss_of(student: Student, inputs: Tensor, data: Data, clips: np.ndarray) -> Tensor:
    """Sums the losses of emotions, alone and with the speaker's mean subtracted, and of the teacher's features."""
    vectors = student.network(inputs)
    labels = data.labels[clips]
    weights = (labels / data.labels.mean(dim=0) / len(EMOTIONS)).sum(dim=1)
    own = vectors.view(SPEAKERS, CLIPS, -1)
    others = (own.sum(dim=1, keepdim=True) - own) / (CLIPS - 1) - vectors.mean(dim=0)
    adapted = (own - others * (CLIPS - 1) / (CLIPS - 1 + SHRINKAGE)).reshape(vectors.shape)
    loss = vectors.new_zeros(())
    for one in (vectors, adapted):
        logits = student.emotions(student.dropout(one))
        loss = loss + 0.5 * (functional.cross_entropy(logits, labels, reduction="none") * weights).mean()
    if data.taught is not None:
        loss = loss + (student.taught(vectors) - data.taught[clips]).square().mean()
    return loss


def train_network(data: Data, epochs: int, seed: int, work: Path) -> MelCNN:
    """Trains the network; its state is kept every 100 steps."""
    torch.manual_seed(seed)
    student = Student()
    steps = max(1, epochs * (len(data.paths) // (SPEAKERS * CLIPS)))
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.15)
    parts = {"student": student, "optimizer": optimizer, "schedule": schedule}
    kept, done = work / "network.pt", 0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        done = state.pop("done")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    for step, (clips, inputs) in enumerate(batches(data, seed, done, steps), done + 1):
        loss = loss_of(student, inputs, data, clips)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            print(f"step {step} of {steps}: loss {loss.item():.3f}", flush=True)
            torch.save({name: part.state_dict() for name, part in parts.items()} | {"done": step}, kept)
    return student.network.eval()


def of_the_paper(data: Data) -> Data:
    """Takes the clips whose intended emotion is one of the paper's, with labels over those."""
    chosen = (data.emotions < len(PAPER_EMOTIONS)).nonzero()[:, 0].tolist()
    labels = data.labels[chosen, : len(PAPER_EMOTIONS)]
    return Data(
        [data.spectrograms[i] for i in chosen],
        labels / labels.sum(dim=1, keepdim=True),
        data.emotions[chosen],
        speakers=data.speakers[chosen],
        paths=[data.paths[i] for i in chosen],
    )


@torch.no_grad()
def vectors_of(network: MelCNN, data: Data) -> Tensor:
    """Computes each clip's vector, ``(clips, 256)``."""
    return torch.cat([network(relative(spectrogram.float()[None])) for spectrogram in data.spectrograms])


def offsets(vectors: Tensor, speakers: np.ndarray, positions: Tensor, seed: Sequence[int]) -> Tensor:
    """Draws profiles of random sizes: the shrunk means that are subtracted from clips ``(positions,)``."""
    random = np.random.default_rng(seed)
    found = torch.zeros(len(positions), vectors.shape[1])
    for row, i in enumerate(positions.tolist()):
        size = PROFILE_SIZES[random.integers(len(PROFILE_SIZES))]
        others = np.flatnonzero(speakers == speakers[i])
        chosen = others if size < 0 else random.permutation(others)[:size]
        found[row] = vectors[chosen].sum(dim=0) / (len(chosen) + SHRINKAGE)
    return found


def train_head(vectors: Tensor, labels: Tensor, speakers: np.ndarray, seed: int) -> nn.Sequential:
    """Trains one perceptron on standardized vectors ``(clips, 256)`` less profiles of random sizes."""
    torch.manual_seed(seed)
    clips, classes = labels.shape
    hidden, output = nn.Linear(vectors.shape[1], HIDDEN), nn.Linear(HIDDEN, classes)
    head = nn.Sequential(nn.Dropout(0.3), hidden, nn.ReLU(), nn.Dropout(0.5), output)
    weights = (labels / labels.mean(dim=0) / classes).sum(dim=1)
    batches_an_epoch = max(1, clips // HEAD_BATCH)
    optimizer = torch.optim.AdamW(head.parameters(), lr=HEAD_RATE, weight_decay=0.01)
    steps = HEAD_EPOCHS * batches_an_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HEAD_RATE, steps, pct_start=0.2)
    for epoch in range(HEAD_EPOCHS):
        for number, chosen in enumerate(torch.randperm(clips).tensor_split(batches_an_epoch)):
            logits = head(vectors[chosen] - offsets(vectors, speakers, chosen, (seed, epoch, number)))
            loss = (functional.cross_entropy(logits, labels[chosen], reduction="none") * weights[chosen]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval()


def build_model(network: MelCNN, vectors: Tensor, heads: Sequence[nn.Sequential]) -> PathosNet:
    """Puts the perceptrons side by side into one hidden layer over the network: their logits' mean."""
    name, dim = MelCNNExtractor.name, network.feature_dim
    options = BranchOptions(network="mlp", audio_width=HIDDEN * len(heads), dropout=0.0, standardize=True)
    whole = EmotionNetwork({name: dim}, len(PAPER_EMOTIONS), options=options)
    branch = whole.branches[name]
    branch.standardize.mean.copy_(vectors.mean(dim=0))
    branch.standardize.deviation.copy_(vectors.std(dim=0) + 1e-5)
    with torch.no_grad():
        branch.hidden[0].weight.copy_(torch.cat([head[1].weight for head in heads]))
        branch.hidden[0].bias.copy_(torch.cat([head[1].bias for head in heads]))
        whole.classifier.weight.copy_(torch.cat([head[4].weight for head in heads], dim=1) / len(heads))
        whole.classifier.bias.copy_(torch.stack([head[4].bias for head in heads]).mean(dim=0))
    return PathosNet(
        whole,
        {name: MelCNNExtractor(network)},
        None,
        calibration_temperature=CALIBRATION,
        profile_calibration=PROFILE_CALIBRATION,
    )


def main() -> None:
    """Trains and saves the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, to be made")
    parser.add_argument("--work", type=Path, required=True, help="folder for what a stopped run needs to go on")
    parser.add_argument("--teacher", default="base", help="a model of one acoustic feature, or none")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = read_corpus(options.manifest, options.work)
    if options.teacher != "none":
        data.taught = teach(data, options.teacher, options.work)
    network = train_network(data, options.epochs, options.seed, options.work)
    data = of_the_paper(data)
    vectors = vectors_of(network, data)
    standardized = (vectors - vectors.mean(dim=0)) / (vectors.std(dim=0) + 1e-5)
    heads = [train_head(standardized, data.labels, data.speakers, options.seed * 100 + i) for i in range(SEEDS)]
    model = build_model(network, vectors, heads)
    for parameter in model.parameters():
        parameter.data = parameter.data.half()  # half the file; it is read into float32
    model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
