"""Utterances with features of a small backbone, or of texts, and a run of all stages over them."""

from pathlib import Path

import torch
from making import tiny_config
from torch import Tensor, nn

from pathosnet.corpora import Split
from pathosnet.experiments.settings import stage_settings, stage_trainer
from pathosnet.features.acoustic.extractors import AcousticExtractor
from pathosnet.models import pad_batch
from pathosnet.targets import ClassTarget
from pathosnet.training import (
    EmotionModule,
    FeatureTable,
    train_stages,
)

RATE = 16_000


class FakeBackbone(nn.Module):
    """A backbone of two layers: (windows, 6) → (windows, 5)."""

    feature_dim = 5

    def __init__(self) -> None:
        super().__init__()
        self.below = nn.Linear(6, 4)
        self.unlocked_layer = nn.Linear(4, 5)
        self.above = nn.Linear(5, 5)

    def frozen_part(self, windows: Tensor) -> Tensor:
        return torch.relu(self.below(windows))

    def trainable_part(self, hidden: Tensor) -> Tensor:
        return self.above(torch.relu(self.unlocked_layer(hidden)))

    def forward(self, windows: Tensor) -> Tensor:
        return self.trainable_part(self.frozen_part(windows))


class FakeExtractor(AcousticExtractor):
    """Cuts a "waveform" into windows of six samples."""

    name = "fake"

    def __init__(self) -> None:
        super().__init__(5, FakeBackbone())  # type: ignore[arg-type]

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform.reshape(-1, 6)

    def config(self) -> dict:
        return {}


class Setup:
    """Some utterances with features, the split, and a run over them."""

    def __init__(self, extractors: dict[str, AcousticExtractor], waveforms: list[Tensor], text: bool = True) -> None:
        generator = torch.Generator().manual_seed(0)
        count = len(waveforms)
        self.waveforms = waveforms
        self.extractors = extractors
        sequences = {name: [extractor(wave) for wave in waveforms] for name, extractor in extractors.items()}
        if text:
            sequences["text"] = [torch.randn(1 + i % 4, 300, generator=generator) for i in range(count)]
        self.table = FeatureTable(sequences, torch.arange(count) % 2)
        held_out = max(2, count // 4)
        self.split = Split(tuple(range(count - held_out)), tuple(range(count - held_out, count)), (), strategy="column")

    def run(self, folder: Path = Path("unused"), own_logger=None, **options):
        config = tiny_config(acoustic="logmel", **options)
        return self.run_with(stage_trainer(config, folder, own_logger), config)

    def run_with(self, trainer, config):
        return train_stages(
            self.table,
            self.split,
            ClassTarget(("a", "b")),
            extractors=self.extractors,
            hidden_features=lambda extractor: [[extractor.frozen_part(wave) for wave in self.waveforms]],
            trainer=trainer,
            settings=stage_settings(config),
        )

    def validation_loss(self, model) -> float:
        """Of a trained model, over features that its (tuned) extractors make afresh."""
        chosen = self.split.validation
        sequences = {name: [e(self.waveforms[i]) for i in chosen] for name, e in self.extractors.items()}
        if "text" in self.table.sequences:
            sequences["text"] = [self.table.sequences["text"][i] for i in chosen]
        with torch.no_grad():
            logits = model.classify(pad_batch(sequences))
        return nn.functional.cross_entropy(logits, self.table.targets[list(chosen)]).item()


def noise(count: int, samples: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(samples * (1 + i % 3), generator=generator) * 0.1 for i in range(count)]


def fake_setup(count: int = 24, names: tuple[str, ...] = ("fake",)) -> Setup:
    torch.manual_seed(0)
    return Setup({name: FakeExtractor().eval() for name in names}, noise(count, 12))


def text_setup(count: int = 24) -> Setup:
    return Setup({}, noise(count, 6))


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    """Names of the tensors that are not the same bit for bit."""
    after = module.state_dict()
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def log_scripted(module: EmotionModule, losses: list[float]) -> None:
    """Logs the epoch's loss out of a list instead of the real one, and accuracies that go with it."""
    loss = losses[min(module.current_epoch, len(losses) - 1)]
    module.log("val_loss", loss)
    module.log("val_accuracy", 1 / (1 + loss))
    module.log("val_uar", 1 / (1 + loss))
