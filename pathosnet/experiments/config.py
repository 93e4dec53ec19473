"""Every option of a training run, with the paper's value as its default."""

import json
import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin

from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.registry import acoustic_features, text_embeddings


class Names(tuple[str, ...]):
    """Several names; on the command line separated by commas."""

    @classmethod
    def parse(cls, value: Any) -> "Names":
        """Reads ``"a,b"`` or a list of strings."""
        parts = value.split(",") if isinstance(value, str) else list(value)
        return cls(str(part).strip() for part in parts if str(part).strip())


class Values(tuple[str, ...]):
    """Several values, each of which may hold commas; on the command line the option is repeated."""

    @classmethod
    def parse(cls, value: Any) -> "Values":
        """Reads one string, a list of strings, or a list as JSON."""
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else [value]
        return cls(str(part) for part in value or ())


NONE = "none"
AUTO = "auto"
MAX_SEED = 2**32 - 1  # NumPy's
HASHED = "hashed"
POSITIVE = (
    *("epochs", "patience", "batch_size", "learning_rate", "min_learning_rate", "temperature", "max_words"),
    *("text_width", "audio_width", "logmel_stack", "window_frames", "hop_frames", "stft_hop", "top_db", "num_nodes"),
    "augmented_copies",
)
SPLITS = ("auto", "random", "speaker", "session", "script", "speaker+script", "column")
CLASSES_ONLY = {
    "label": (),
    "drop_labels": (),
    "class_weights": "none",
    "label_smoothing": 0.0,
    "sampling": "natural",
}
"""Options without a meaning where numbers are estimated, and their values that ask for nothing."""
PRESET_HINT = "For numbers there is --preset dimensions"
AUGMENTATIONS = ("masks", "words", "speed", "noise", "gain")


@dataclass(frozen=True)
class TrainConfig:
    """What a run trains on, which networks it trains, and how."""

    labels: Names = Names(PAPER_EMOTIONS)
    """Emotions to tell apart, in the order of the outputs; `corpus` takes those that the corpus has."""
    label: Values = Values()
    """A corpus' own spelling of an emotion, SPELLING=EMOTION; may be repeated."""
    drop_labels: Names = Names()
    """Spellings whose rows are left out."""
    targets: Names = Names()
    """Columns of numbers to estimate instead of emotions, such as valence,activation,dominance; the loss is then
    1 − the concordance correlation coefficient."""

    acoustic: Names = Names(("logmel",))
    """Acoustic features: logmel, vggish, ghostvlad, one that a plug-in registers, or none. Several make an ensemble,
    one network each."""
    logmel_stack: int = 4
    """Log-mel frames of 10 ms side by side in one step of the sequence."""
    vggish: str | None = None
    """VGGish weights: torchvggish's .pth or a Keras .h5, or `vggish` of `pathosnet weights`."""
    vggish_output: Literal["relu", "softmax", "linear", "pool"] = "relu"
    """What VGGish ends with: 128-d (relu, softmax as in the authors' code, linear) or 512-d (pool)."""
    ghostvlad: str | None = None
    """Thin ResNet-34 + GhostVLAD weights: the released Keras .h5, or `ghostvlad` of `pathosnet weights`."""
    window_frames: int = 30
    """Length of a GhostVLAD window in spectrogram frames."""
    hop_frames: int = 15
    """Frames from one GhostVLAD window to the next."""
    stft_hop: int = 160
    """Samples from one GhostVLAD frame to the next (the paper: 256, that is 16 ms)."""
    silence_removal: bool = True
    """Remove silence before GhostVLAD windows are cut."""
    top_db: float = 20.0
    """What counts as silence: so many dB below the loudest frame."""

    extraction_precision: Literal["32", "bf16"] = "32"
    """In which VGGish and Thin ResNet-34 are computed, in training and in prediction: float32, or bfloat16, which is
    faster on newer processors and changes the features by about half a percent."""
    workers: int | None = None
    """Processes that read recordings while features are extracted; 0 for none beside the main one, null for as many
    as suit the corpus and the machine."""

    feature_store: str = AUTO
    """Folder that keeps what pre-trained networks make of recordings, for the next fold, run or process; auto: in the
    user's cache ($PATHOSNET_CACHE); none."""

    text: Values = Values((HASHED,))
    """Word vectors: hashed (no file), none, FILE or LANGUAGE=FILE (.vec, GloVe .txt, fastText .bin, or a name that
    `pathosnet weights` lists); or hf:MODEL, a Hugging Face encoder of sentences; or what a plug-in registers;
    repeatable."""
    text_layer: int = -1
    """Layer of a Hugging Face encoder whose hidden states are taken: -1 the last, 0 what the first layer reads."""
    text_map: Values = Values()
    """Map of a fastText .bin into the common space, LANGUAGE=FILE (.txt, .npy, MUSE .pth); may be repeated."""
    language_identifier: str | None = None
    """fastText's language identifier (lid.176.ftz), for rows without a language."""
    max_words: int = 50_000
    """Words to read of each text file of word vectors."""
    oov: Literal["prefix", "unknown", "zeros", "skip"] = "prefix"
    """What stands for an unknown word: its longest known beginning, the word "unknown", zeros, or nothing."""

    feature_options: dict[str, Any] = field(default_factory=dict)
    """Arguments of features that a plug-in registers, by their names: {"mine": {"num_bands": 40}}."""

    text_width: int = 128
    """Width of the text branch."""
    audio_width: int = 256
    """Width of an audio branch."""
    num_blocks: int = 2
    """Residual blocks of a branch."""
    dropout: float = 0.5
    """Spatial dropout in the branches."""
    batch_norm_momentum: float = 0.01
    """Share of a new batch in batch norm's running statistics (Keras' momentum 0.99)."""
    temperature: float = 96.0
    """Divides the ensemble's features before they are classified."""

    epochs: int = 45
    """At most so many epochs for each stage."""
    patience: int = 20
    """Stop a stage after so many epochs without improvement; the paper does not give it."""
    early_stopping_metric: Literal["loss", "accuracy", "uar", "ccc"] = "loss"
    """What improvement means, on the validation part; ccc is for targets, accuracy and uar are for emotions."""
    batch_size: int = 32
    """Utterances in a batch; the paper does not give it."""
    learning_rate: float = 1e-3
    """Of the first epoch."""
    learning_rate_decay: float = 0.1
    """The rate of epoch e is learning_rate · exp(-decay · e)."""
    min_learning_rate: float = 1e-5
    """Where the decay ends."""
    fine_tune: bool = True
    """Unlock the layer above the frozen backbone in a second stage (vggish: conv4_2; ghostvlad: x_fc)."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight of a class in the loss: all alike, or inversely to its frequency."""
    label_smoothing: float = 0.0
    """Of the cross-entropy."""
    calibration: Literal["temperature", "none"] = "temperature"
    """After training, fit one temperature to the validation part: probabilities shall be as sure as they are right."""
    modality_dropout: float = 0.0
    """Share of training utterances that lose their text or their voice, so that the model learns to do without."""
    sampling: Literal["natural", "balanced"] = "natural"
    """What an epoch draws: every utterance once, or every class equally often."""
    augmentation: Names = Names()
    """Changes to what is trained on: masks (hide stretches of time, and of mel bands), words (hide words), and of the
    recordings speed, noise, gain; or none."""
    augmented_copies: int = 2
    """Changed recordings of each utterance, for speed, noise and gain; an epoch draws the original or one of them."""

    split: str = "auto"
    """The parts: random (stratified), speaker, session, script or speaker+script (none of them in two parts), column
    (the manifest's `fold` or `split`), a folds.csv; auto: column if there is one, else random."""
    num_folds: int = 5
    """One of so many folds is the test part."""
    fold: int = 0
    """Which one, from 0."""
    validation_fraction: float = 0.2
    """Share of the rest that is the validation part."""

    seed: int = 0
    """Of everything random; the same seed gives the same numbers on the same machine."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, …"""
    devices: str = "auto"
    """Lightning's devices: a number, or auto."""
    num_nodes: int = 1
    """Lightning's number of machines."""
    strategy: str = "auto"
    """Lightning's strategy: auto, ddp, …"""
    precision: str = "32-true"
    """Lightning's precision: 32-true, bf16-mixed, 16-mixed, …"""
    logger: str = "csv"
    """csv, none, or the import path of any Lightning logger, such as pytorch_lightning.loggers.TensorBoardLogger."""
    logger_options: dict[str, Any] = field(default_factory=dict)
    """Arguments of the logger."""
    progress: bool = True
    """Show progress bars."""

    def __post_init__(self) -> None:
        for name in ("labels", "drop_labels", "targets", "acoustic", "augmentation"):
            object.__setattr__(self, name, Names.parse(getattr(self, name)))
        for name in ("label", "text", "text_map"):
            object.__setattr__(self, name, Values.parse(getattr(self, name)))
        for name in ("acoustic", "augmentation"):
            if getattr(self, name) == (NONE,):
                object.__setattr__(self, name, Names())
        if self.text == (NONE,):
            object.__setattr__(self, "text", Values())
        self._check()

    def _check(self) -> None:
        for name in self.acoustic:
            if name not in acoustic_features:
                raise InputError(
                    f"acoustic: expected {', '.join(acoustic_features.names)} or none, got {name!r}; if it is your "
                    f"own, {acoustic_features.advice()}"
                )
        for name in self.augmentation:
            if name not in AUGMENTATIONS:
                raise InputError(f"augmentation: expected {', '.join(AUGMENTATIONS)} or none, got {name!r}")
        if len(set(self.acoustic)) != len(self.acoustic):
            raise InputError(f"acoustic: expected each name once, got {','.join(self.acoustic)}")
        if not self.acoustic and not self.text:
            raise InputError("acoustic and text are both none: expected at least one to learn from")
        used = {*self.acoustic, *(value.rpartition("=")[2] for value in self.text)}
        for name, own in self.feature_options.items():
            if name not in used & {*acoustic_features.names, *text_embeddings.names} or not isinstance(own, dict):
                raise InputError(
                    f"feature_options: expected names of features that are used with their arguments, got {name}: {own}"
                )
        for name in ("vggish", "ghostvlad"):
            if name in self.acoustic and getattr(self, name) is None:
                raise InputError(f"acoustic feature {name}: needs its weights, --{name} FILE")
        for field_ in fields(self):
            choices = get_args(field_.type) if get_origin(field_.type) is Literal else ()
            value = getattr(self, field_.name)
            if choices and value not in choices:
                raise InputError(f"{field_.name}: expected {' or '.join(choices)}, got {value!r}")
        if self.split not in SPLITS and not self.split.endswith(".csv"):
            raise InputError(f"split: expected {', '.join(SPLITS)} or a folds.csv, got {self.split!r}")
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise InputError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        if self.num_blocks < 0 or self.learning_rate_decay < 0:
            raise InputError("num_blocks, learning_rate_decay: expected 0 or more")
        for name in ("dropout", "modality_dropout", "label_smoothing", "batch_norm_momentum"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name}: expected a number from 0 to below 1, got {getattr(self, name)}")
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{field_.name}: expected a finite number, got {value}")
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"seed: expected 0 to {MAX_SEED}, got {self.seed}")
        if self.workers is not None and self.workers < 0:
            raise InputError(f"workers: expected 0 or more, or none for as many as suit, got {self.workers}")
        if self.num_folds < 2 or not 0 <= self.fold < self.num_folds:
            raise InputError(
                f"fold: expected 0 to num_folds - 1 of at least 2 folds, got fold {self.fold} of {self.num_folds}"
            )
        if not 0.0 < self.validation_fraction < 1.0:
            raise InputError(f"validation_fraction: expected a number between 0 and 1, got {self.validation_fraction}")
        if self.modality_dropout > 0 and not (self.acoustic and self.text):
            raise InputError("modality_dropout: expected acoustic and text features, got only one of them")
        self._check_targets()

    def _check_targets(self) -> None:
        if not self.targets:
            if self.early_stopping_metric == "ccc":
                raise InputError("early_stopping_metric: ccc is for --targets; expected loss, accuracy or uar")
            return
        if len({name.lower() for name in self.targets}) != len(self.targets):
            raise InputError(f"targets: expected each column once, got {','.join(self.targets)}")
        if self.early_stopping_metric in ("accuracy", "uar"):
            raise InputError(
                f"early_stopping_metric: {self.early_stopping_metric} is for emotions; with targets expected loss or "
                f"ccc. {PRESET_HINT}"
            )
        for name, without in CLASSES_ONLY.items():
            if getattr(self, name) != without:
                raise InputError(f"{name}: is for emotions; with targets expected {without or 'none'}. {PRESET_HINT}")


def parse_pairs(values: tuple[str, ...], option: str) -> dict[str, str]:
    """Reads ``KEY=VALUE`` options.

    >>> parse_pairs(("ira=anger",), "--label")
    {'ira': 'anger'}
    """
    pairs = {}
    for value in values:
        key, separator, meaning = value.partition("=")
        if not separator or not key or not meaning:
            raise InputError(f"{option}: expected KEY=VALUE, got {value!r}")
        pairs[key] = meaning
    return pairs


SETTLED_BY_MODEL = (
    *("acoustic", "logmel_stack", "vggish", "vggish_output", "ghostvlad", "window_frames", "hop_frames", "stft_hop"),
    *(
        "silence_removal",
        "top_db",
        "extraction_precision",
        "text",
        "text_map",
        "language_identifier",
        "max_words",
        "oov",
    ),
    *("text_width", "audio_width", "num_blocks", "dropout", "batch_norm_momentum", "temperature", "fine_tune"),
)
"""Options without a meaning where a trained model is the beginning."""
FINETUNE_DEFAULTS: dict[str, Any] = {"labels": Names(("corpus",)), "learning_rate": 3e-4}
"""Options whose defaults are others where a trained model is the beginning."""
