"""A model as a folder: ``config.json``, ``model.safetensors``, and word vectors in ``text/``. Nothing is pickled."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pathosnet.emotions import check_labels
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor, extractor_from_config
from pathosnet.features import FastTextVectors, HashedWords, TextEmbedder, WordEmbedding, WordVectors
from pathosnet.features.text_embedder import LanguageIdentifier
from pathosnet.files import fingerprint, read_json, write_json
from pathosnet.models import TEXT, Classified, network_from_config

FORMAT = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TEXT_FOLDER = "text"


class _Parts(nn.Module):
    """All that has weights, under the names that the file has."""

    def __init__(self, network: Classified, acoustic: Mapping[str, AcousticExtractor]) -> None:
        super().__init__()
        self.network = network
        self.acoustic = nn.ModuleDict(acoustic)


def save_model(
    folder: Path,
    labels: tuple[str, ...],
    network: Classified,
    acoustic: Mapping[str, AcousticExtractor],
    text: TextEmbedder | None,
    version: str,
) -> None:
    """Writes a model into an existing folder."""
    write_json(
        folder / CONFIG_FILE,
        {
            "format": FORMAT,
            "pathosnet_version": version,
            "labels": list(labels),
            "network": network.config(),
            "acoustic": {name: extractor.config() for name, extractor in acoustic.items()},
            "text": None if text is None else _save_text(folder, text),
        },
    )
    _write_safetensors(folder / WEIGHTS_FILE, _Parts(network, acoustic).state_dict())


def load_model(
    folder: Path, text: TextEmbedder | None = None
) -> tuple[tuple[str, ...], Classified, dict[str, AcousticExtractor], TextEmbedder | None]:
    """Reads what ``save_model`` wrote.

    Args:
        folder: the model's.
        text: takes the place of the saved word vectors.

    Returns:
        Labels, network, extractors by name, and text embedder.

    Raises:
        InputError: no such model, a damaged one, or one of a newer format.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder}: holds no model (no {CONFIG_FILE}); expected a folder that training or saving made")
    config_path = folder / CONFIG_FILE
    config = read_json(config_path)
    with _blaming(config_path):
        if config["format"] != FORMAT:
            raise InputError(
                f"{folder / CONFIG_FILE}: has format {config['format']}, this version reads {FORMAT}; update pathosnet"
            )
        network = network_from_config(config["network"])
        acoustic = {name: extractor_from_config(name, options) for name, options in config["acoustic"].items()}
        labels = tuple(config["labels"])
        check_labels(labels)
        if text is None and config["text"] is not None:
            text = _load_text(folder, config["text"])
        dims = {name: extractor.feature_dim for name, extractor in acoustic.items()}
        dims |= {} if text is None else {TEXT: text.dim}
        if dims != network.input_dims or len(labels) != network.num_classes:
            raise ValueError(f"network of {network.input_dims} and {network.num_classes} labels, got {dims}, {labels}")
    _load_weights(folder / WEIGHTS_FILE, _Parts(network, acoustic))
    return labels, network.eval(), {name: extractor.eval() for name, extractor in acoustic.items()}, text


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turns what a wrong configuration leads to into an error that names the file."""
    try:
        yield
    except InputError as error:
        if str(path.parent) in str(error):
            raise
        raise InputError(f"{path}: describes no model ({error})") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: describes no model ({type(error).__name__}: {error})") from error


def _load_weights(path: Path, parts: nn.Module) -> None:
    state = _read_safetensors(path)
    expected = parts.state_dict()
    problems = [
        f"{kind}: {', '.join(sorted(names))}"
        for kind, names in (
            ("missing", expected.keys() - state.keys()),
            ("surplus", state.keys() - expected.keys()),
            ("of another shape", {n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape}),
        )
        if names
    ]
    if problems:
        raise InputError(f"{path}: does not fit its {CONFIG_FILE} — {'; '.join(problems)}")
    parts.load_state_dict(state)


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
        shutil.copyfile(text.identifier.path, folder / TEXT_FOLDER / identifier)
    return {"tables": tables, "identifier": identifier}


def _save_table(folder: Path, name: str, table: WordEmbedding) -> dict[str, Any]:
    if isinstance(table, HashedWords):
        return {"kind": "hashed", "dim": table.dim, "min_chars": table.min_chars, "max_chars": table.max_chars}
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
    raise TypeError(f"expected word vectors that can be saved, got {type(table).__name__}")


def _load_text(folder: Path, config: Mapping[str, Any]) -> TextEmbedder:
    identifier = config["identifier"] and LanguageIdentifier(folder / TEXT_FOLDER / Path(config["identifier"]).name)
    tables = {language: _load_table(folder, table) for language, table in config["tables"].items()}
    return TextEmbedder(tables, identifier)


def _load_table(folder: Path, config: Mapping[str, Any]) -> WordEmbedding:
    if config["kind"] == "hashed":
        return HashedWords(config["dim"], config["min_chars"], config["max_chars"])
    stored = folder / TEXT_FOLDER / f"{Path(config['name']).name}.safetensors"
    if config["kind"] == "word_vectors":
        words_path = stored.with_name(f"{Path(config['name']).name}.words.txt")
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
    if config["kind"] == "fasttext":
        path = Path(config["path"])
        if not path.is_file() or fingerprint(path) != config["fingerprint"]:
            raise InputError(
                f"{folder}: needs the fastText model {path}, which is "
                f"{'another file' if path.is_file() else 'missing'} (it is too large to be saved along); "
                "put it back there, or pass PathosNet.from_pretrained(…, text=…)"
            )
        return FastTextVectors(path, _read_safetensors(stored)["mapping"] if config["mapped"] else None)
    raise InputError(f"{folder / CONFIG_FILE}: expected word vectors of a known kind, got {config['kind']!r}")
