"""A model as a folder: ``config.json``, ``model.safetensors``, and word vectors in ``text/``. Nothing is pickled."""

import math
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.emotions import check_labels
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor, extractor_from_config
from pathosnet.feature_store import hash_weights
from pathosnet.features import ContextualEmbedding, FastTextVectors, TextEmbedder, TextTable, WordVectors
from pathosnet.features.contextual_embedding import load_from_hub, open_encoder, save_encoder
from pathosnet.features.text_embedder import LanguageIdentifier
from pathosnet.files import fingerprint, read_json, write_json
from pathosnet.model_card import Facts
from pathosnet.models import TEXT, Classified, network_from_config
from pathosnet.registry import Registry, acoustic_features, text_embeddings
from pathosnet.weights.files import some_names
from pathosnet.weights.references import changed_tensors, referred_tensors, source_from

FORMAT = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TEXT_FOLDER = "text"
MAX_CONFIG_BYTES = 1 << 24
MAX_NUMBER = 1 << 20  # of channels, frames, …
MAX_BLOCKS = 100
MAY_BE_ZERO = ("num_blocks", "dropout", "batch_norm_momentum", "top_db")


class _Parts(nn.Module):
    """All that has weights, under the names that the file has."""

    def __init__(self, network: Classified, acoustic: Mapping[str, AcousticExtractor]) -> None:
        super().__init__()
        self.network = network
        self.acoustic = nn.ModuleDict(acoustic)
        self.extractors = dict(acoustic)


class LoadedModel(NamedTuple):
    """What a model's folder holds; the fields are the arguments of ``PathosNet``."""

    network: Classified
    acoustic: dict[str, AcousticExtractor]
    text: TextEmbedder | None
    labels: tuple[str, ...]
    facts: Facts
    calibration_temperature: float
    dimensional: bool


def save_model(
    folder: Path,
    labels: tuple[str, ...],
    network: Classified,
    acoustic: Mapping[str, AcousticExtractor],
    text: TextEmbedder | None,
    version: str,
    facts: Facts,
    embed_weights: bool = True,
    calibration_temperature: float = 1.0,
    dimensional: bool = False,
) -> None:
    """Writes a model into an existing folder.

    Raises:
        InputError: the backbones' weights are not to be embedded, and the file that they come from is not there.
    """
    state = _Parts(network, acoustic).state_dict()
    weights = {}
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
            "pathosnet_version": version,
            "labels": list(labels),
            "dimensional": dimensional,
            "calibration_temperature": calibration_temperature,
            "network": network.config(),
            "acoustic": {name: extractor.config() for name, extractor in acoustic.items()},
            "weights": weights,
            "text": None if text is None else _save_text(folder, text),
            "facts": asdict(facts),
        },
    )
    _write_safetensors(folder / WEIGHTS_FILE, state)


def load_model(folder: Path, text: TextEmbedder | None = None, weights: Path | None = None) -> LoadedModel:
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
        _check_known(config_path, acoustic_features, config["acoustic"])
        for part in ("network", "acoustic", "text"):
            _check_numbers(config[part], part)
        with torch.device("meta"), warnings.catch_warnings():  # shapes without memory
            warnings.simplefilter("ignore")  # about shapes that are refused below
            outline = _make_parts(config)
        labels, dimensional = tuple(config["labels"]), config.get("dimensional", False) is True
        if not dimensional:
            check_labels(labels)
        facts = Facts.from_json(config["facts"]) if config.get("facts") else Facts()
        temperature = float(config.get("calibration_temperature", 1.0))
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"calibration_temperature: expected a number above 0, got {temperature}")
        sources = {name: (source_from(one), one["embedded"]) for name, one in config.get("weights", {}).items()}
        if text is None and config["text"] is not None:
            text = _load_text(folder, config["text"])
        network = outline.network
        dims = {name: extractor.feature_dim for name, extractor in outline.extractors.items()}
        dims |= {} if text is None else {TEXT: text.dim}
        if dims != network.input_dims or len(labels) != network.num_classes:
            raise ValueError(f"network of {network.input_dims} and {network.num_classes} labels, got {dims}, {labels}")
    path = own_file(folder, WEIGHTS_FILE)
    state = _read_safetensors(path)
    for name, backbone in _backbones(outline.extractors).items():
        if name in sources and not sources[name][1]:
            referred = referred_tensors(name, backbone, sources[name][0], weights)
            state = {f"{_prefix(name)}{key}": value for key, value in referred.items()} | state
    _check_state(path, outline.state_dict(), state)
    parts = _make_parts(config)
    parts.load_state_dict(state)
    for name, backbone in _backbones(parts.extractors).items():
        backbone.source = sources[name][0] if name in sources else None
    acoustic = {name: one.eval() for name, one in parts.extractors.items()}
    return LoadedModel(parts.network.eval(), acoustic, text, labels, facts, temperature, dimensional)


def own_file(folder: Path, name: str) -> Path:
    """Returns a file of a model's folder.

    Links are followed within the folder, and to the blobs of the hub's cache, whose snapshots consist of links.

    Raises:
        InputError: it is a link to another place.
    """
    path = folder / name
    root, real = folder.resolve(), path.resolve()
    allowed = [root]
    if root.parent.name == "snapshots":
        allowed.append(root.parent.parent / "blobs")
    if not any(real.is_relative_to(place) for place in allowed):
        raise InputError(f"{path}: is a link to {real}, outside of the model; it is not followed")
    return path


def _make_parts(config: Mapping[str, Any]) -> _Parts:
    network = network_from_config(config["network"])
    acoustic = {}
    for name, part in config["acoustic"].items():
        # Only of this library's own it is known that they can be made without memory.
        with torch.device("cpu") if name in acoustic_features.own else nullcontext():
            acoustic[name] = extractor_from_config(name, part)
    return _Parts(network, acoustic)


def _backbones(acoustic: Mapping[str, AcousticExtractor]) -> dict[str, VGGish | ThinResNet34]:
    """Returns those whose weights come from a file that a model can refer to."""
    return {name: one.backbone for name, one in acoustic.items() if isinstance(one.backbone, VGGish | ThinResNet34)}


def _prefix(name: str) -> str:
    return f"acoustic.{name}.backbone."


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


def _check_known(path: Path, registry: Registry[Any], names: Iterable[str]) -> None:
    """Refuses what is not registered: a folder, which may be a stranger's, never makes this library import anything."""
    for name in names:
        if name not in registry:
            raise InputError(
                f"{path}: needs the {registry.kind} {name!r}, which is not registered; {registry.advice()}"
            )


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turns what a wrong configuration leads to into an error that names the file."""
    try:
        yield
    except InputError as error:
        if str(path.parent) in str(error):
            raise
        raise InputError(f"{path}: describes no model ({error})") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: describes no model ({type(error).__name__}: {reason})") from error


def _check_state(path: Path, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    problems = [
        f"{kind}: {some_names(sorted(names))}"
        for kind, names in (
            ("missing", expected.keys() - state.keys()),
            ("surplus", state.keys() - expected.keys()),
            ("of another shape", {n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape}),
        )
        if names
    ]
    if problems:
        raise InputError(f"{path}: does not fit its {CONFIG_FILE} — {'; '.join(problems)}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); the model is incomplete or damaged") from error


def _write_safetensors(path: Path, state: Mapping[str, Tensor]) -> None:
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    safetensors.torch.save_file(on_cpu, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes it readable by its owner alone


def _save_text(folder: Path, text: TextEmbedder) -> dict[str, Any]:
    (folder / TEXT_FOLDER).mkdir()
    tables = {
        language: _save_table(folder / TEXT_FOLDER, str(i), table)
        for i, (language, table) in enumerate(text.tables.items())
    }
    identifier = None
    if text.identifier is not None:
        identifier = text.identifier.path.name
        if identifier.endswith(".bin"):  # what hubs take for a pickle, and nobody should fetch
            identifier = f"{identifier[:-4]}.fasttext"
        shutil.copyfile(text.identifier.path, folder / TEXT_FOLDER / identifier)
    return {"tables": tables, "identifier": identifier}


def _save_table(folder: Path, name: str, table: TextTable) -> dict[str, Any]:
    if isinstance(table, WordVectors):
        _write_safetensors(folder / f"{name}.safetensors", {"vectors": table.vectors})
        (folder / f"{name}.words.txt").write_text("\n".join(table.words), encoding="utf-8", newline="")
        return {"kind": "word_vectors", "name": name, "oov": table.oov}
    if isinstance(table, FastTextVectors):
        if table.mapping is not None:
            _write_safetensors(folder / f"{name}.safetensors", {"mapping": table.mapping})
        return {
            "kind": "fasttext",
            "name": name,
            "path": str(table.path.resolve()),
            "fingerprint": fingerprint(table.path),
            "mapped": table.mapping is not None,
        }
    if isinstance(table, ContextualEmbedding):
        return _save_contextual(folder, name, table)
    registered = text_embeddings.name_of(type(table))
    if registered is None:
        raise InputError(
            f"{type(table).__name__}: cannot be saved, its class has no name; {text_embeddings.how} gives it one"
        )
    if isinstance(table, nn.Module) and table.state_dict():
        _write_safetensors(folder / f"{name}.safetensors", table.state_dict())
    return {**table.config(), "kind": registered}  # type: ignore[union-attr]  # registered ones have it


def _save_contextual(folder: Path, name: str, table: ContextualEmbedding) -> dict[str, Any]:
    """Copies an encoder, unless the hub keeps it under a commit, where it stays what it is."""
    on_hub = table.model is not None and table.revision is not None
    if not on_hub:
        save_encoder(table, folder / name)
    return {
        "kind": "contextual",
        "name": None if on_hub else name,
        **table.config(),
        "weights": hash_weights(table),
    }


def _load_text(folder: Path, config: Mapping[str, Any]) -> TextEmbedder:
    identifier = config["identifier"] and LanguageIdentifier(
        own_file(folder, f"{TEXT_FOLDER}/{Path(config['identifier']).name}")
    )
    tables = {
        language: _load_table(folder, str(i), table) for i, (language, table) in enumerate(config["tables"].items())
    }
    return TextEmbedder(tables, identifier)


def _load_table(folder: Path, number: str, config: Mapping[str, Any]) -> TextTable:
    if config["kind"] == "contextual":
        return _load_contextual(folder, config)
    if config["kind"] not in ("word_vectors", "fasttext"):
        return _load_registered(folder, number, config)
    name = Path(config["name"]).name  # whatever it says, it is in this folder
    stored = own_file(folder, f"{TEXT_FOLDER}/{name}.safetensors")
    if config["kind"] == "word_vectors":
        words_path = own_file(folder, f"{TEXT_FOLDER}/{name}.words.txt")
        try:
            words = words_path.read_bytes().decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{words_path}: cannot be read ({error}); the model is incomplete or damaged") from error
        vectors = _read_safetensors(stored).get("vectors")
        if vectors is None or len(words) != len(vectors):
            raise InputError(
                f"{words_path}: holds {len(words)} words, expected as many as {stored} has vectors, "
                f"{0 if vectors is None else len(vectors)}; the model is damaged"
            )
        return WordVectors(words, vectors, config["oov"])
    if config["path"].startswith(("//", "\\\\")):
        raise InputError(f"{folder}: refers to a fastText model on another machine, {config['path']}; not looked for")
    path = Path(config["path"])
    if not path.is_file() or fingerprint(path) != config["fingerprint"]:
        raise InputError(
            f"{folder}: needs the fastText model {path}, which is "
            f"{'another file' if path.is_file() else 'missing'} (it is too large to be saved along); "
            "put it back there, or pass PathosNet.from_pretrained(…, text=…)"
        )
    return FastTextVectors(path, _read_safetensors(stored)["mapping"] if config["mapped"] else None)


def _load_contextual(folder: Path, config: Mapping[str, Any]) -> ContextualEmbedding:
    layer, model = int(config["layer"]), config["model"]
    if config["name"] is not None:
        path = folder / TEXT_FOLDER / Path(config["name"]).name
        for file in path.glob("*"):
            own_file(folder, f"{TEXT_FOLDER}/{path.name}/{file.name}")
        table = open_encoder(path, layer, str(path), model, config["revision"])
    else:
        table = load_from_hub(model, config["revision"], layer)
    if hash_weights(table) != config["weights"]:
        raise InputError(
            f"{folder}: needs the encoder that it was trained with, {table.source} has other weights; "
            "put it back, or pass PathosNet.from_pretrained(…, text=…)"
        )
    return table


def _load_registered(folder: Path, number: str, config: Mapping[str, Any]) -> TextTable:
    _check_known(folder / CONFIG_FILE, text_embeddings, [config["kind"]])
    options = {key: value for key, value in config.items() if key != "kind"}
    table = text_embeddings.find(config["kind"])(**options)
    if table.config() != options:
        raise ValueError(f"{config['kind']} of {table.config()}, got {options}")
    if isinstance(table, nn.Module) and table.state_dict():
        path = own_file(folder, f"{TEXT_FOLDER}/{number}.safetensors")
        state = _read_safetensors(path)
        _check_state(path, table.state_dict(), state)
        table.load_state_dict(state)
        table.eval()
    return table
