"""Every option of a training run, with the paper's value as its default.

The options are declared in groups; ``TrainConfig`` has them all side by side. An option is added as a field of the
group where it belongs, with a description beneath it: command line, YAML files, checks and pages follow.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

from pathosnet.corpora.splits import SPLITS
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.features.registry import acoustic_features, feature_name, names_encoder, names_opensmile, text_embeddings
from pathosnet.options import (
    ABOVE_ZERO,
    FRACTION,
    SHARE,
    ZERO_OR_MORE,
    Mark,
    Names,
    Options,
    Range,
    Values,
    has_mark,
    option,
)

NONE = "none"
AUTO = "auto"
MAX_SEED = 2**32 - 1  # NumPy's
SEED = Range(f"0 to {MAX_SEED}", lambda value: 0 <= value <= MAX_SEED)
WORKERS = Range("0 or more, or none for as many as suit", lambda value: value >= 0)
HASHED = "hashed"
PRESET_HINT = "For numbers there is --preset dimensions"
AUGMENTATIONS = ("masks", "words", "speed", "noise", "gain")
COMMON, CLASSES_ONLY, TUNABLE, CONTINUABLE = Mark.COMMON, Mark.CLASSES_ONLY, Mark.TUNABLE, Mark.CONTINUABLE


@dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """Labels: emotions to recognize, or numbers such as valence to estimate."""

    labels: Names = option(Names(), COMMON)
    """Emotions to tell apart, in the order of the outputs; `corpus` takes those that the corpus has. Where targets are
    named, there are none but those that are given with them."""
    label: Values = option(Values(), COMMON, CLASSES_ONLY)
    """A corpus' own spelling of an emotion, SPELLING=EMOTION; may be repeated."""
    drop_labels: Names = option(Names(), CLASSES_ONLY)
    """Spellings whose rows are left out."""
    labels_from: Literal["hard", "votes", "mixed"] = option("hard", CLASSES_ONLY)
    """Targets of the loss: hard (its emotion), votes (the raters' shares, columns `votes_<emotion>`;
    its emotion where it has none), or mixed (half and half). All figures but the loss are measured by the emotion."""
    targets: Names = option(Names(), COMMON)
    """Columns of numbers to estimate, such as valence,activation,dominance: instead of emotions, or together with those
    that labels names. Their loss is 1 minus the concordance correlation coefficient."""
    dimension_weight: float = option(1.0, ABOVE_ZERO)
    """Weight of the targets' loss beside that of the labels, where both are named."""


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(Options):
    """Features: what the networks read of recordings and texts."""

    acoustic: Names = option(Names(("logmel",)), COMMON)
    """Acoustic features: logmel, vggish, ghostvlad; a speech encoder, hf:FOLDER, hf:NAME[@REVISION] of the Hugging Face
    hub, torchaudio:BUNDLE or a name that `pathosnet weights` lists (whisper-base); opensmile:SET (eGeMAPSv02,
    ComParE_2016; opensmile:SET:lld for the low-level descriptors); one that a plug-in registers; or none. Several make
    an ensemble, one network each."""
    level: Literal["auto", "none", "peak", "rms"] = "auto"
    """How a recording's level is set before features are made, so that a gain changes nothing: peak (the largest sample
    becomes 0.5), rms (what is loud gets a root mean square of 0.1), none, or auto: rms for logmel, vggish and
    ghostvlad, peak for speech encoders, none for openSMILE, which measures loudness."""
    logmel_stack: int = option(4, ABOVE_ZERO)
    """Log-mel frames of 10 ms side by side in one step of the sequence."""
    vggish: str | None = None
    """VGGish weights: torchvggish's .pth or a Keras .h5, or `vggish` of `pathosnet weights`."""
    vggish_output: Literal["relu", "softmax", "linear", "pool"] = "relu"
    """Ending of VGGish: 128-d (relu, softmax as in the authors' code, linear) or 512-d (pool)."""
    ghostvlad: str | None = None
    """Thin ResNet-34 + GhostVLAD weights: the released Keras .h5, or `ghostvlad` of `pathosnet weights`."""
    window_frames: int = option(30, ABOVE_ZERO)
    """Length of a GhostVLAD window in spectrogram frames."""
    hop_frames: int = option(15, ABOVE_ZERO)
    """Frames from one GhostVLAD window to the next."""
    stft_hop: int = option(160, ABOVE_ZERO)
    """Samples from one GhostVLAD frame to the next (the paper: 256, that is 16 ms)."""
    silence_removal: bool = True
    """Remove silence before GhostVLAD windows are cut."""
    top_db: float = option(20.0, ABOVE_ZERO)
    """Threshold of silence: so many dB below the loudest frame."""
    encoder_layers: str = "auto"
    """Hidden states of a speech encoder to take: one (4), the mean of a span (3-5), several side by side (2,3,4,5),
    learned (all of them, in a mix whose weights are trained), or auto for what is known to work, layers from the
    middle (Whisper-base: 3-5)."""
    encoder_rate: float = option(10.0, ZERO_OR_MORE)
    """Vectors a second that a speech encoder's are averaged to; they have 50. With 0, one of a whole recording."""
    extraction_precision: Literal["32", "bf16"] = "32"
    """In which VGGish and Thin ResNet-34 are computed, in training and in prediction: float32, or bfloat16, which is
    faster on newer processors and changes the features by about half a percent."""
    text: Values = option(Values((HASHED,)), COMMON)
    """Word vectors: hashed (no file), none, FILE or LANGUAGE=FILE (.vec, GloVe .txt, fastText .bin, or a name that
    `pathosnet weights` lists); or hf:MODEL, a Hugging Face encoder of sentences; or what a plug-in registers;
    repeatable."""
    text_layer: int = -1
    """Layer of a Hugging Face encoder whose hidden states are taken: -1 the last, 0 what the first layer reads."""
    text_map: Values = Values()
    """Map of a fastText .bin into the common space, LANGUAGE=FILE (.txt, .npy, MUSE .pth); may be repeated."""
    language_identifier: str | None = None
    """fastText's language identifier (lid.176.ftz), for rows without a language."""
    max_words: int = option(50_000, ABOVE_ZERO)
    """Words to read of each text file of word vectors."""
    oov: Literal["prefix", "unknown", "zeros", "skip"] = "prefix"
    """Substitute for an unknown word: its longest known beginning, the word "unknown", zeros, or nothing."""
    feature_options: dict[str, Any] = option({})
    """Arguments of features that a plug-in registers, by their names: {"mine": {"num_bands": 40}}."""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Network: the branches, the classifier above them, the pre-trained networks below."""

    network: Literal["branches", "mlp", "linear"] = "branches"
    """Network that reads a sequence: branches (the paper's), mlp (pooled over time, one hidden layer) or linear (pooled
    over time)."""
    pooling: Literal["mean", "statistics", "attention"] = "mean"
    """Summary of a sequence over time: its mean, its mean and standard deviation, or a mean with learned
    weights."""
    standardize: bool = True
    """Standardize every feature by its mean and deviation over the training part."""
    text_width: int = option(128, ABOVE_ZERO, TUNABLE)
    """Width of the text branch."""
    audio_width: int = option(256, ABOVE_ZERO, TUNABLE)
    """Width of an audio branch."""
    num_blocks: int = option(2, ZERO_OR_MORE, TUNABLE)
    """Residual blocks of a branch."""
    dropout: float = option(0.5, SHARE, TUNABLE)
    """Spatial dropout in the branches."""
    batch_norm_momentum: float = option(0.01, SHARE, TUNABLE)
    """Share of a new batch in batch norm's running statistics (Keras' momentum 0.99)."""
    temperature: float = option(96.0, ABOVE_ZERO)
    """Divides the ensemble's features before they are classified: 96 for the paper's branches, 1 for networks that are
    linear."""
    normalize: Literal["none", "speaker", "corpus"] = "none"
    """Adapt acoustic features to each speaker, or each corpus: the mean of their other recordings is taken away, in
    training that of a few drawn at random, so that the model works with a profile of any size; labels are not used."""
    fine_tune: bool = True
    """Unlock the layer above the frozen backbone in a second stage (vggish: conv4_2; ghostvlad: x_fc; speech encoders:
    see unlock)."""


@dataclass(frozen=True, kw_only=True)
class OptimizationOptions(Options):
    """Optimization: how the networks are trained."""

    epochs: int = option(45, ABOVE_ZERO, COMMON)
    """At most so many epochs for each stage."""
    patience: int = option(20, ABOVE_ZERO)
    """Stop a stage after so many epochs without improvement; the paper does not give it."""
    early_stopping_metric: Literal["auto", "loss", "accuracy", "uar", "ccc", "uar_ccc"] = "auto"
    """Figure of the validation part that tells improvement; ccc is for targets, accuracy and uar are for emotions,
    uar_ccc is the mean of both where both are named. auto: uar_ccc there, loss elsewhere."""
    batch_size: int = option(32, ABOVE_ZERO, COMMON, TUNABLE)
    """Utterances in a batch; the paper does not give it."""
    learning_rate: float = option(1e-3, ABOVE_ZERO, COMMON, TUNABLE)
    """Learning rate of the first epoch."""
    learning_rate_decay: float = option(0.1, ZERO_OR_MORE, TUNABLE)
    """The rate of epoch e is learning_rate · exp(-decay · e)."""
    min_learning_rate: float = option(1e-5, ABOVE_ZERO, TUNABLE)
    """Where the decay ends."""
    optimizer: str = "RMSprop"
    """A class of torch.optim, such as AdamW, or the import path of any optimizer."""
    optimizer_options: dict[str, Any] = option({})
    """Arguments of the optimizer, such as {"weight_decay": 0.01}."""
    scheduler: str = "decay"
    """How the learning rate changes: decay (the paper's, see learning_rate_decay), none, a class of
    torch.optim.lr_scheduler, such as OneCycleLR, or the import path of any scheduler."""
    scheduler_options: dict[str, Any] = option({})
    """Arguments of the scheduler; what it needs of the run's length is filled in."""
    unlock: int = option(0, ZERO_OR_MORE)
    """Top layers of a speech encoder, of those that the features are made of, that learn in the second stage."""
    lora: int = option(0, ZERO_OR_MORE)
    """Rank of low-rank changes (LoRA) that these layers learn in place of their weights; 0 for the weights. It needs
    pathosnet[lora]."""
    encoder_learning_rate: float = option(1e-4, ABOVE_ZERO, TUNABLE)
    """Learning rate of the highest of them; none of the optimizer's weight_decay is for them."""
    encoder_layer_decay: float = option(0.5, ABOVE_ZERO)
    """A layer learns at so much of the rate of the layer above."""
    refit: bool = False
    """Train once more on the training and the validation part together, for the epochs that were found."""
    class_weights: Literal["none", "balanced"] = option("none", CLASSES_ONLY)
    """Weight of a class in the loss: all alike, or inversely to its frequency."""
    label_smoothing: float = option(0.0, SHARE, CLASSES_ONLY)
    """Label smoothing of the cross-entropy."""
    sampling: Literal["natural", "balanced"] = option("natural", CLASSES_ONLY)
    """Utterances that an epoch draws: each once, or every class equally often."""
    modality_dropout: float = option(0.0, SHARE, TUNABLE)
    """Share of training utterances that lose their text or their voice, so that the model learns to do without."""
    augmentation: Names = option(Names(), TUNABLE)
    """Changes to what is trained on: masks (hide stretches of time, and of mel bands), words (hide words), and of the
    recordings speed, noise, gain; or none."""
    augmented_copies: int = option(2, ABOVE_ZERO)
    """Changed recordings of each utterance, for speed, noise and gain; an epoch draws the original or one of them."""
    calibration: Literal["temperature", "none"] = "temperature"
    """After training, fit one temperature to the validation part: probabilities shall be as sure as they are right."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions(Options):
    """Split: the training, validation and test parts."""

    split: str = option("auto", COMMON)
    """The parts: random (stratified), speaker, session, script or speaker+script (none of them in two parts), corpus
    (each is tested in turn), column (the manifest's `fold` or `split`), a folds.csv; auto: column if there is one, else
    random."""
    num_folds: int = 5
    """One of so many folds is the test part."""
    fold: int = option(0, CONTINUABLE)
    """Which one, from 0."""
    validation_fraction: float = option(0.2, FRACTION)
    """Share of the rest that is the validation part."""
    seed: int = option(0, SEED, COMMON)
    """Seed of all random numbers; the same seed gives the same numbers on the same machine."""


@dataclass(frozen=True, kw_only=True)
class HardwareOptions(Options):
    """Hardware: where a run computes, what it keeps, what it reports."""

    accelerator: str = option("auto", COMMON, CONTINUABLE)
    """Lightning's accelerator: auto, cpu, gpu, …"""
    devices: str = option("auto", CONTINUABLE)
    """Lightning's devices: a number, or auto."""
    num_nodes: int = option(1, ABOVE_ZERO, CONTINUABLE)
    """Lightning's number of machines."""
    strategy: str = option("auto", CONTINUABLE)
    """Lightning's strategy: auto, ddp, …"""
    precision: str = "32-true"
    """Lightning's precision: 32-true, bf16-mixed, 16-mixed, …"""
    workers: int | None = option(None, WORKERS, CONTINUABLE)
    """Processes that read recordings while features are extracted; 0 for none beside the main one, null for as many
    as suit the corpus and the machine."""
    feature_store: str = option(AUTO, CONTINUABLE)
    """Folder that keeps the features of recordings, for the next fold, run or process; auto: in the
    user's cache ($PATHOSNET_CACHE); none."""
    feature_store_precision: Literal["32", "16"] = "32"
    """In which it keeps them: float32, or float16, half the size, which changes features of speech encoders by 0.03
    percent."""
    logger: str = option("csv", CONTINUABLE)
    """csv, none, or the import path of any Lightning logger, such as pytorch_lightning.loggers.TensorBoardLogger."""
    logger_options: dict[str, Any] = option({}, CONTINUABLE)
    """Arguments of the logger."""
    plot_embeddings: bool = option(False, CONTINUABLE)
    """Draw what the classifier reads of the test utterances in two dimensions (t-SNE, which takes some seconds), by
    emotion, speaker and corpus; of a cross-validation, those of fold 0."""
    progress: bool = option(True, COMMON, CONTINUABLE)
    """Show progress bars."""


GROUPS = (LabelOptions, FeatureOptions, NetworkOptions, OptimizationOptions, SplitOptions, HardwareOptions)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    HardwareOptions, SplitOptions, OptimizationOptions, NetworkOptions, FeatureOptions, LabelOptions
):  # dataclasses collect fields from the last base on
    """Options of a training run: labels, features, networks, optimization, split and hardware.

    >>> config = TrainConfig(learning_rate=1e-4)
    >>> config.learning_rate, config.epochs
    (0.0001, 45)
    """

    def __post_init__(self) -> None:
        """Checks every option by itself, then what they mean together."""
        super().__post_init__()
        if not self.labels and not self.targets:
            object.__setattr__(self, "labels", Names(PAPER_EMOTIONS))
        for name in ("acoustic", "augmentation", "text"):
            if getattr(self, name) == (NONE,):
                object.__setattr__(self, name, type(getattr(self, name))())
        self._check_features()
        self._check_training()
        self._check_normalization()
        self._check_targets()

    def _check_features(self) -> None:
        for name in self.acoustic:
            if not (name in acoustic_features or names_encoder(name) or names_opensmile(name)):
                raise InputError(
                    f"acoustic: expected {', '.join(acoustic_features.names)}, a speech encoder (hf:…, torchaudio:… "
                    f"or one of `pathosnet weights list`), opensmile:… or none, got {name!r}; if it is your own, "
                    f"{acoustic_features.advice()}"
                )
        if len({feature_name(name) for name in self.acoustic}) != len(self.acoustic):
            raise InputError(f"acoustic: expected each name once, got {','.join(self.acoustic)}")
        if not self.acoustic and not self.text:
            raise InputError("acoustic and text are both none: expected at least one to learn from")
        named = {name for value in self.acoustic for name in (value, feature_name(value))} - {*self.acoustic}
        named |= {value for value in self.acoustic if names_encoder(value) or names_opensmile(value)}
        used = {*self.acoustic, *(value.rpartition("=")[2] for value in self.text)}
        known = used & {*acoustic_features.names, *text_embeddings.names} | named
        for name, own in self.feature_options.items():
            if name not in known or not isinstance(own, dict):
                raise InputError(
                    f"feature_options: expected names of features that are used with their arguments, got {name}: {own}"
                )
        for name in ("vggish", "ghostvlad"):
            if name in self.acoustic and getattr(self, name) is None:
                raise InputError(f"acoustic feature {name}: needs its weights, --{name} FILE")

    def _check_training(self) -> None:
        for name in self.augmentation:
            if name not in AUGMENTATIONS:
                raise InputError(f"augmentation: expected {', '.join(AUGMENTATIONS)} or none, got {name!r}")
        if self.split not in SPLITS and not self.split.endswith(".csv"):
            raise InputError(f"split: expected {', '.join(SPLITS)} or a folds.csv, got {self.split!r}")
        if self.num_folds < 2 or not 0 <= self.fold < self.num_folds:
            raise InputError(
                f"fold: expected 0 to num_folds - 1 of at least 2 folds, got fold {self.fold} of {self.num_folds}"
            )
        if self.lora and not self.unlock:
            raise InputError("lora: expected layers that learn so, such as --unlock 2, got unlock 0")
        if self.modality_dropout > 0 and not (self.acoustic and self.text):
            raise InputError("modality_dropout: expected acoustic and text features, got only one of them")

    def _check_normalization(self) -> None:
        if self.normalize == "none":
            return
        if not self.acoustic or not self.standardize:
            raise InputError(f"normalize: {self.normalize} needs acoustic features that are standardized (standardize)")
        if self.fine_tune and (self.unlock or {"vggish", "ghostvlad"} & set(self.acoustic)):
            raise InputError(
                f"normalize: {self.normalize} is for features that stay as they are; with vggish, ghostvlad or unlock "
                f"add --fine-tune false"
            )

    @property
    def stopping_metric(self) -> str:
        """Figure of the validation part that tells improvement, where ``auto`` leaves it open."""
        known = {"auto": "uar_ccc" if self.labels and self.targets else "loss"}
        return known.get(self.early_stopping_metric, self.early_stopping_metric)

    def _check_targets(self) -> None:
        if len({name.lower() for name in self.targets}) != len(self.targets):
            raise InputError(f"targets: expected each column once, got {','.join(self.targets)}")
        if self.targets and self.labels:
            return
        if self.dimension_weight != 1:
            raise InputError("dimension_weight: is for --labels and --targets together; leave it out")
        if self.early_stopping_metric == "uar_ccc":
            raise InputError("early_stopping_metric: uar_ccc is for --labels and --targets together; expected auto")
        if not self.targets:
            if self.early_stopping_metric == "ccc":
                raise InputError("early_stopping_metric: ccc is for --targets; expected loss, accuracy or uar")
            return
        if self.early_stopping_metric in ("accuracy", "uar"):
            raise InputError(
                f"early_stopping_metric: {self.early_stopping_metric} is for emotions; with targets expected loss or "
                f"ccc. {PRESET_HINT}"
            )
        for one in fields(self):
            name, without = one.name, one.default
            if has_mark(one, CLASSES_ONLY) and getattr(self, name) != without:
                raise InputError(f"{name}: is for emotions; with targets expected {without or 'none'}. {PRESET_HINT}")


SETTLED_BY_MODEL = tuple(one.name for group in (FeatureOptions, NetworkOptions) for one in fields(group))
"""Options without a meaning where a trained model is the beginning."""
FINETUNE_DEFAULTS: dict[str, Any] = {"labels": Names(("corpus",)), "learning_rate": 3e-4}
"""Options whose defaults are others where a trained model is the beginning."""
