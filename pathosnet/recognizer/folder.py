"""A model as a folder: ``config.json``, ``model.safetensors``, and word vectors in ``text/``. Nothing is pickled."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import pathosnet
from pathosnet.audio.decoding import audio_suffixes
from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.errors import InputError, shown
from pathosnet.features import TextEmbedder
from pathosnet.features.acoustic.encoders.opening import hash_tensors
from pathosnet.features.acoustic.extractors import AcousticExtractor, SpeechEncoderExtractor, extractor_from_config
from pathosnet.features.profile import ProfileCalibration
from pathosnet.features.registry import acoustic_features, text_embeddings
from pathosnet.files import read_json, write_json
from pathosnet.models import TEXT, Classified, network_from_config
from pathosnet.recognizer.card import Facts
from pathosnet.recognizer.files import (
    CONFIG_FILE,
    check_known,
    check_state,
    own_file,
    read_safetensors,
    write_safetensors,
)
from pathosnet.recognizer.references import changed_tensors, referred_tensors, source_from
from pathosnet.recognizer.text_folder import TEXT_FOLDER, load_text, save_text
from pathosnet.targets import Target, target_from_config

FORMAT = 1
WEIGHTS_FILE = "model.safetensors"
ENCODER_FOLDER = "encoders"
MAX_CONFIG_BYTES = 1 << 24
MAX_NUMBER = 1 << 20  # of channels, frames, …
MAX_BLOCKS = 100
MAX_TEMPERATURE = 1e6
MAX_DISTANCE = 1e6  # in standard deviations
MAY_BE_ZERO = ("num_blocks", "dropout", "batch_norm_momentum", "top_db")


class ModelParts(NamedTuple):
    """Contents of a model's folder; the fields are the arguments of ``PathosNet``."""

    network: Classified
    acoustic: dict[str, AcousticExtractor]
    text: TextEmbedder | None
    labels: Target
    facts: Facts
    calibration_temperature: float
    profile_calibration: ProfileCalibration | None = None
    reach: Mapping[str, float] | None = None


def save_model(folder: Path, parts: ModelParts, *, embed_weights: bool = True, hold_encoders: bool = False) -> None:
    """Writes a model into an existing folder.

    Speech encoders are referred to by name, revision and hash, unless ``hold_encoders`` asks for copies.

    Raises:
        InputError: the backbones' weights are not to be embedded, and the file that they come from is not there.
    """
    acoustic = parts.acoustic
    state = _module_of(parts.network, acoustic).state_dict()
    weights = {}
    configs = {name: extractor.config() for name, extractor in acoustic.items()}
    for name, extractor in _encoders(acoustic).items():
        state = {key: value for key, value in state.items() if not key.startswith(_prefix(name))}
        if hold_encoders:
            (folder / ENCODER_FOLDER / name).mkdir(parents=True)
            extractor.encoder.save(folder / ENCODER_FOLDER / name)
            configs[name]["held"] = True
            if configs[name].pop("unlocked", 0):  # what was tuned is the encoder that is held
                configs[name]["sha256"] = hash_tensors(extractor.encoder.network.state_dict())
        elif (top := extractor.unlockable) is not None:
            state |= {f"{_prefix(name)}{key}": value for key, value in top.state_dict().items()}
    for name, backbone in _backbones(acoustic).items():
        if not embed_weights:
            changed = changed_tensors(name, backbone)
            prefix = _prefix(name)
            state = {k: v for k, v in state.items() if not k.startswith(prefix) or k.removeprefix(prefix) in changed}
        if backbone.source is not None:
            weights[name] = {"file": backbone.source.file, "sha256": backbone.source.sha256, "embedded": embed_weights}
    write_json(
        folder / CONFIG_FILE,
        {
            "format": FORMAT,
            "pathosnet_version": pathosnet.__version__,
            **parts.labels.config(),
            "calibration_temperature": parts.calibration_temperature,
            **({"profile_calibration": asdict(parts.profile_calibration)} if parts.profile_calibration else {}),
            **({"reach": dict(parts.reach)} if parts.reach else {}),
            "network": parts.network.config(),
            "acoustic": configs,
            "weights": weights,
            "text": None if parts.text is None else save_text(folder / TEXT_FOLDER, parts.text),
            "facts": asdict(parts.facts),
        },
    )
    write_safetensors(folder / WEIGHTS_FILE, state)


def load_model(folder: Path, text: TextEmbedder | None = None, weights: Path | None = None) -> ModelParts:
    """Reads what ``save_model`` wrote.

    The configuration is a stranger's, perhaps: nothing of the size that it asks for is made before the weights file has
    turned out to hold as much.

    Args:
        folder: the model's.
        text: takes the place of the saved word vectors.
        weights: folder to look for weights in that the model refers to, besides the cache.

    Raises:
        InputError: no such model, a damaged one, or one of a newer format.
    """
    if folder.is_file():
        kind = "recording" if folder.suffix.lower() in audio_suffixes() else "file"
        raise InputError(f"{folder}: is a {kind}; expected the folder of a model")
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder}: holds no model (no {CONFIG_FILE}); expected a folder that training or saving made")
    config_path = own_file(folder, CONFIG_FILE)
    if config_path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"{config_path}: is larger than {MAX_CONFIG_BYTES:,} bytes; it describes no model")
    config = read_json(config_path)
    with _blaming(config_path):
        if config["format"] != FORMAT:
            raise InputError(
                f"{folder / CONFIG_FILE}: has format {config['format']}, this version reads {FORMAT}; update pathosnet"
            )
        kinds = [acoustic_features.kind_of(name, part) for name, part in config["acoustic"].items()]
        check_known(config_path, acoustic_features, kinds)
        for part in ("network", "acoustic", "text"):
            _check_numbers(config[part], part)
        with torch.device("meta"), warnings.catch_warnings():  # shapes without memory
            warnings.simplefilter("ignore")  # about shapes that are refused below
            network, acoustic = _make_parts(config)
        names = {name: _read_labels(config[name], name) for name in ("labels", "dimensions") if name in config}
        target = target_from_config({**config, **names})
        facts = Facts.from_json(config["facts"]) if config.get("facts") else Facts()
        temperature = float(config.get("calibration_temperature", 1.0))
        if not 1 / MAX_TEMPERATURE <= temperature <= MAX_TEMPERATURE:
            raise ValueError(
                f"calibration_temperature: expected a number from {1 / MAX_TEMPERATURE:g} to {MAX_TEMPERATURE:g}, "
                f"got {temperature}"
            )
        adapted = config.get("profile_calibration")
        profile_calibration = ProfileCalibration(**adapted) if adapted is not None else None
        reach = {str(name): float(farthest) for name, farthest in config.get("reach", {}).items()}
        if not all(0 < farthest <= MAX_DISTANCE for farthest in reach.values()):
            raise ValueError(f"reach: expected numbers above 0, got {reach}")
        sources = {name: (source_from(one), one["embedded"]) for name, one in config.get("weights", {}).items()}
        if text is None and config["text"] is not None:
            text = load_text(folder, config["text"])
        dims = {name: extractor.feature_dim for name, extractor in acoustic.items()}
        dims |= {} if text is None else {TEXT: text.dim}
        if dims != network.input_dims or len(target) != network.num_classes:
            known = f"{dims}, {target.labels}"
            raise ValueError(f"network of {network.input_dims} and {network.num_classes} labels, got {known}")
        if reach.keys() - network.standardizers.keys():
            raise ValueError(f"reach: expected features that are standardized, got {', '.join(reach)}")
    path = own_file(folder, WEIGHTS_FILE)
    state = read_safetensors(path)
    for name, backbone in _backbones(acoustic).items():
        if name in sources and not sources[name][1]:
            referred = referred_tensors(name, backbone, sources[name][0], folder=weights)
            state = {f"{_prefix(name)}{key}": value for key, value in referred.items()} | state
    tuned = {name: _taken(state, _prefix(name)) for name in _encoders(acoustic)}
    check_state(path, _module_of(network, acoustic).state_dict(), state)
    network, acoustic = _make_parts(config)
    _module_of(network, acoustic).load_state_dict(state)
    for name, extractor in _encoders(acoustic).items():
        extractor.open(_held_encoder(folder, name) if config["acoustic"][name].get("held") is True else weights)
        top = extractor.unlockable
        check_state(path, {} if top is None else top.state_dict(), tuned[name])
        if top is not None:
            top.load_state_dict(tuned[name])
    for name, backbone in _backbones(acoustic).items():
        backbone.source = sources[name][0] if name in sources else None
    return ModelParts(
        network,
        acoustic,
        text,
        labels=target,
        facts=facts,
        calibration_temperature=temperature,
        profile_calibration=profile_calibration,
        reach=reach,
    )


def _module_of(network: nn.Module, acoustic: Mapping[str, AcousticExtractor]) -> nn.Module:
    """Returns all that has weights, under the names that the file has."""
    return nn.ModuleDict({"network": network, "acoustic": nn.ModuleDict(acoustic)})


def _make_parts(config: Mapping[str, Any]) -> tuple[Classified, dict[str, AcousticExtractor]]:
    network = network_from_config(config["network"])
    acoustic = {}
    for name, part in config["acoustic"].items():
        part = {key: value for key, value in part.items() if key != "held" or name in acoustic_features}
        # Only of this library's own it is known that they can be made without memory.
        with torch.device("cpu") if name in acoustic_features.own else nullcontext():
            acoustic[name] = extractor_from_config(name, part)
    return network, acoustic


def _backbones(acoustic: Mapping[str, AcousticExtractor]) -> dict[str, VGGish | ThinResNet34]:
    """Returns those whose weights come from a file that a model can refer to."""
    return {name: one.backbone for name, one in acoustic.items() if isinstance(one.backbone, VGGish | ThinResNet34)}


def _encoders(acoustic: Mapping[str, AcousticExtractor]) -> dict[str, SpeechEncoderExtractor]:
    return {name: one for name, one in acoustic.items() if isinstance(one, SpeechEncoderExtractor)}


def _held_encoder(folder: Path, name: str) -> Path:
    held = folder / ENCODER_FOLDER / name
    for file in held.glob("*"):
        own_file(folder, f"{ENCODER_FOLDER}/{name}/{file.name}")
    return held


def _taken(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes the tensors whose names begin so out of a state."""
    return {key.removeprefix(prefix): state.pop(key) for key in list(state) if key.startswith(prefix)}


def _prefix(name: str) -> str:
    return f"acoustic.{name}.backbone."


def _read_labels(value: Any, name: str) -> tuple[str, ...]:
    if not (isinstance(value, list) and all(isinstance(label, str) and label.strip() for label in value)):
        raise ValueError(f"{name}: expected names, got {shown(value)}")
    return tuple(value)


def _check_numbers(value: Any, name: str) -> None:
    """Refuses sizes that no network has, before anything is built of them."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            kind = part.get("kind") if name == "tables" and isinstance(part, Mapping) else None
            if not (name == "acoustic" and key in acoustic_features.own) and kind not in text_embeddings.own:
                _check_numbers(part, str(key))
    elif isinstance(value, list):
        for part in value:
            _check_numbers(part, name)
    elif isinstance(value, (int, float)):
        low = 0 if isinstance(value, (bool, float)) or name in MAY_BE_ZERO else 1
        low = -MAX_BLOCKS if name == "layer" else low
        high = MAX_BLOCKS if name == "num_blocks" else MAX_NUMBER
        if not low <= value <= high:
            raise ValueError(f"{name}: expected a number from {low} to {high:,}, got {value}")


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turns what a wrong configuration leads to into an error that names the file."""
    try:
        yield
    except InputError as error:
        if str(path.parent) in str(error):
            raise
        raise InputError(f"{path}: describes no model ({error})") from error
    except Exception as error:  # of what a wrong value leads to, Python and PyTorch raise all kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: describes no model ({type(error).__name__}: {reason})") from error
