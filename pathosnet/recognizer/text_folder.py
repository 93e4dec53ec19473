"""The text part of a model's folder: word vectors, references to fastText models, encoders, a language identifier."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pathosnet.errors import InputError
from pathosnet.features import ContextualEmbedding, FastTextVectors, TextEmbedder, TextTable, WordVectors
from pathosnet.features.registry import text_embeddings
from pathosnet.features.store import hash_weights
from pathosnet.features.text.contextual import load_from_hub, open_encoder, save_encoder
from pathosnet.features.text.embedder import LanguageIdentifier
from pathosnet.files import fingerprint
from pathosnet.recognizer.files import (
    CONFIG_FILE,
    check_known,
    check_state,
    own_file,
    read_safetensors,
    write_safetensors,
)

TEXT_FOLDER = "text"


def save_text(folder: Path, text: TextEmbedder) -> dict[str, Any]:
    """Writes an embedder's tables into a folder, which is made, and returns their configuration as JSON values."""
    folder.mkdir()
    tables = {language: _save_table(folder, str(i), table) for i, (language, table) in enumerate(text.tables.items())}
    identifier = None
    if text.identifier is not None:
        identifier = text.identifier.path.name
        if identifier.endswith(".bin"):  # what hubs take for a pickle, and nobody should fetch
            identifier = f"{identifier[:-4]}.fasttext"
        shutil.copyfile(text.identifier.path, folder / identifier)
    return {"tables": tables, "identifier": identifier}


def _save_table(folder: Path, name: str, table: TextTable) -> dict[str, Any]:
    if isinstance(table, WordVectors):
        write_safetensors(folder / f"{name}.safetensors", {"vectors": table.vectors})
        (folder / f"{name}.words.txt").write_text("\n".join(table.words), encoding="utf-8", newline="")
        return {"kind": "word_vectors", "name": name, "oov": table.oov}
    if isinstance(table, FastTextVectors):
        if table.mapping is not None:
            write_safetensors(folder / f"{name}.safetensors", {"mapping": table.mapping})
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
        write_safetensors(folder / f"{name}.safetensors", table.state_dict())
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


def load_text(folder: Path, config: Mapping[str, Any]) -> TextEmbedder:
    """Reads the embedder of a model's folder.

    Raises:
        InputError: a file is missing, damaged, or another one.
    """
    named = config["identifier"]
    identifier = None if named is None else LanguageIdentifier(own_file(folder, f"{TEXT_FOLDER}/{Path(named).name}"))
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
        vectors = read_safetensors(stored).get("vectors")
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
    return FastTextVectors(path, read_safetensors(stored)["mapping"] if config["mapped"] else None)


def _load_contextual(folder: Path, config: Mapping[str, Any]) -> ContextualEmbedding:
    layer, model = int(config["layer"]), config["model"]
    if config["name"] is not None:
        path = folder / TEXT_FOLDER / Path(config["name"]).name
        for file in path.glob("*"):
            own_file(folder, f"{TEXT_FOLDER}/{path.name}/{file.name}")
        table = open_encoder(path, layer, str(path), model=model, revision=config["revision"])
    else:
        table = load_from_hub(model, config["revision"], layer)
    if hash_weights(table) != config["weights"]:
        raise InputError(
            f"{folder}: needs the encoder that it was trained with, {table.source} has other weights; "
            "put it back, or pass PathosNet.from_pretrained(…, text=…)"
        )
    return table


def _load_registered(folder: Path, number: str, config: Mapping[str, Any]) -> TextTable:
    check_known(folder / CONFIG_FILE, text_embeddings, [config["kind"]])
    options = {key: value for key, value in config.items() if key != "kind"}
    table = text_embeddings.find(config["kind"])(**options)
    if table.config() != options:
        raise ValueError(f"{config['kind']} of {table.config()}, got {options}")
    if isinstance(table, nn.Module) and table.state_dict():
        path = own_file(folder, f"{TEXT_FOLDER}/{number}.safetensors")
        state = read_safetensors(path)
        check_state(path, table.state_dict(), state)
        table.load_state_dict(state)
        table.eval()
    return table
