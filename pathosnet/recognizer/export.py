"""A model as graphs that run without this library: ONNX, or PyTorch's exported programs.

One graph goes from feature sequences to probabilities; one for every acoustic feature goes from a waveform to its
sequence. A JSON file says how they fit together. Removing silence and looking words up stay outside.
"""

import copy
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as fx_config

from pathosnet import __version__
from pathosnet.audio.level import normalize_level
from pathosnet.errors import InputError
from pathosnet.features.acoustic import log_mel, silence, spectrogram
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    SpeechEncoderExtractor,
)
from pathosnet.files import file_written_aside, read_json, to_path, write_json
from pathosnet.models import TEXT
from pathosnet.recognizer.graphs import ExportedEncoder, ExportedExtractor, ExportedNetwork, exported
from pathosnet.recognizer.recognizer import PathosNet

SUFFIXES = (".onnx", ".pt2")
TOLERANCE = 1e-4
ExportedFeature = ExportedExtractor | ExportedEncoder
Graph = Callable[..., np.ndarray]
"""Takes arrays, by the names of the graph's inputs; returns its output."""


@dataclass(frozen=True)
class _Traceable:
    """A module with what tracing it needs."""

    module: nn.Module
    examples: tuple[Any, ...]
    dynamic: tuple[Any, ...]
    inputs: list[str]
    output: str

    def trace(self) -> ExportedProgram:
        # With gradients on, backbones run their layers whole and as they are. Oblivious: else a size of at least two in
        # the example, of windows for instance, must be so in every call.
        with torch.enable_grad(), fx_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            return torch.export.export(self.module, self.examples, dynamic_shapes=self.dynamic, strict=False)

    def write(self, path: Path, suffix: str) -> None:
        program = self.trace()
        if suffix == ".onnx":
            found = torch.onnx.export(
                program, dynamo=True, input_names=self.inputs, output_names=[self.output], verbose=False
            )
            assert found is not None
            found.save(path, external_data=False)
        else:
            with path.open("wb") as file:
                torch.export.save(program, file)


def export(model: PathosNet, out: str | Path, overwrite: bool = False) -> list[Path]:
    """Writes a model as graphs and a description.

    Backbones are computed in float32, whatever the model's ``precision``.

    Args:
        model: stays as it is.
        out: the network's file, ``….onnx`` or ``….pt2``. Beside it come a file for every acoustic feature,
            ``….vggish.onnx``, and ``….onnx.json``.
        overwrite: replace files that are there.

    Returns:
        The files: the network's, the features', the description.

    Raises:
        InputError: another ending, the packages for ONNX are missing, or a file is there.
    """
    out = to_path(out)
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if out.suffix == ".onnx":
        _require("onnx", "onnxscript")
    files = {name: out.with_suffix(f".{name}{out.suffix}") for name in model.acoustic}
    extractors = {name: exported(extractor) for name, extractor in model.extractors.items()}
    graphs = {out: _traceable_network(model)}
    graphs |= {files[name]: _traceable_extractor(extractor) for name, extractor in extractors.items()}
    description = _description_path(out)
    with ExitStack() as stack:
        aside = {path: stack.enter_context(file_written_aside(path, overwrite)) for path in (description, *graphs)}
        with _quiet():
            for path, graph in graphs.items():
                graph.write(aside[path], out.suffix)
        write_json(aside[description], _describe(model, out, files, extractors=extractors))
    return [*graphs, description]


def check(model: PathosNet, out: str | Path) -> dict[str, float]:
    """Runs exported graphs beside the model, on noise of several lengths and batches of several sizes.

    Args:
        model: what was exported.
        out: as in ``export``.

    Returns:
        Name of a file → the largest difference; of features, relative to the largest feature if that exceeds 1.

    Raises:
        InputError: a file is missing or is no graph, or onnxruntime is not installed.
    """
    out = to_path(out)
    description = read_json(_description_path(out))
    generator = torch.Generator().manual_seed(0)
    run = _load(out)
    worst = {out.name: max(_network_differences(model, run, generator))}
    for name, about in description["acoustic"].items():
        run = _load(out.parent / about["file"])
        differences = _feature_differences(
            model.extractors[name], run, about["min_samples"], device=model.device, generator=generator
        )
        worst[about["file"]] = max(differences)
    return worst


def _description_path(out: Path) -> Path:
    return out.with_name(f"{out.name}.json")


def _network_differences(model: PathosNet, run: Graph, generator: torch.Generator) -> Iterator[float]:
    dims = model.network.input_dims
    for batch in (1, 3, 7):
        for time in (0, 1, 2, 5, 8, 33):
            lengths = {name: torch.randint(0, time + 1, (batch,), generator=generator) for name in dims}
            sequences = [
                {name: torch.randn(int(lengths[name][i]), dim, generator=generator) for name, dim in dims.items()}
                for i in range(batch)
            ]
            expected = model.outputs([{k: v.to(model.device) for k, v in one.items()} for one in sequences])
            arrays: dict[str, np.ndarray] = {}
            for name, dim in dims.items():
                arrays[name] = np.ones((batch, time, dim), np.float32)  # padding may be anything
                for i, one in enumerate(sequences):
                    arrays[name][i, : len(one[name])] = one[name].numpy()
            arrays |= {f"{name}_length": length.numpy() for name, length in lengths.items()}
            yield float(np.abs(run(**arrays) - expected.numpy()).max())


def _feature_differences(
    extractor: AcousticExtractor, run: Graph, min_samples: int, device: torch.device, generator: torch.Generator
) -> Iterator[float]:
    for samples in (min_samples, min_samples + 1, 3 * min_samples + 77, 40_001 + min_samples):
        waveform = 0.1 * torch.randn(samples, generator=generator)
        expected = _expected_features(extractor, waveform.to(device)).detach().cpu()
        found = torch.from_numpy(run(waveform=waveform.numpy()))
        yield float((found - expected).abs().max() / expected.abs().max().clamp(min=1.0))


def _expected_features(extractor: AcousticExtractor, waveform: Tensor) -> Tensor:
    if isinstance(extractor, SpeechEncoderExtractor):
        return extractor(waveform)
    windows = _without_silence_removal(extractor, waveform)
    with torch.enable_grad():  # as in the graph: in float32
        features: Tensor = windows if extractor.backbone is None else extractor.backbone(windows)
    return features


def _without_silence_removal(extractor: AcousticExtractor, waveform: Tensor) -> Tensor:
    if isinstance(extractor, GhostVLADExtractor):
        options: Any = {**extractor.windowing, "silence_removal": False}
        return spectrogram.spectrogram_windows(normalize_level(waveform, extractor.level), **options)
    return extractor.front_end(waveform)


def _load(path: Path) -> Graph:
    if path.suffix == ".onnx":
        (onnxruntime,) = _require("onnxruntime")
        try:
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes, of no common kind
            raise InputError(f"{path}: cannot be read as ONNX ({str(error).splitlines()[0]})") from error
        return lambda **arrays: session.run(None, arrays)[0]
    try:
        with _quiet(), path.open("rb") as file:
            module = torch.export.load(file).module()
    except (OSError, RuntimeError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as an exported program ({str(error).splitlines()[0]})") from error

    def run(**arrays: np.ndarray) -> np.ndarray:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if "waveform" in tensors:
            return module(tensors["waveform"]).detach().numpy()
        features = {name: value for name, value in tensors.items() if value.ndim == 3}
        return module(features, {name: tensors[f"{name}_length"] for name in features}).detach().numpy()

    return run


def _traceable_network(model: PathosNet) -> _Traceable:
    dims = model.network.input_dims
    # Sizes that no other axis has.
    features = {name: torch.zeros(3, 20 + i, dim) for i, (name, dim) in enumerate(dims.items())}
    lengths = {name: torch.full((3,), 2) for name in dims}
    dynamic = (
        {name: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for name in dims},
        {name: {0: Dim.DYNAMIC} for name in dims},
    )
    module = ExportedNetwork(model.network, model.calibration_temperature, model.target)
    inputs = [*dims, *(f"{name}_length" for name in dims)]
    return _Traceable(_copied(module), (features, lengths), dynamic, inputs=inputs, output=model.target.output)


def _traceable_extractor(extractor: ExportedFeature) -> _Traceable:
    waveform = torch.zeros(3 * extractor.min_samples + 4321)
    return _Traceable(_copied(extractor), (waveform,), ({0: Dim.DYNAMIC},), inputs=["waveform"], output="features")


def _copied(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).cpu().eval().requires_grad_(False)


def _describe(
    model: PathosNet, out: Path, files: Mapping[str, Path], extractors: Mapping[str, ExportedFeature]
) -> dict[str, Any]:
    acoustic = {}
    for name, extractor in model.extractors.items():
        config = extractor.config()
        removal = None
        if config.get("silence_removal"):
            removal = {
                "top_db": config["top_db"],
                "frame_samples": silence.FRAME_SAMPLES,
                "hop_samples": silence.HOP_SAMPLES,
            }
        acoustic[name] = {
            "file": files[name].name,
            "inputs": {"waveform": ["samples"]},
            "outputs": {"features": ["time", extractor.feature_dim]},
            "min_samples": extractors[name].min_samples,
            "max_samples": extractors[name].max_samples,
            "silence_removal": removal,
            "front_end": config,
        }
    dims = model.network.input_dims
    sequences = {name: ["batch", f"{name}_time", dim] for name, dim in dims.items()}
    return {
        "pathosnet_version": __version__,
        "labels": list(model.labels),
        **({"dimensions": list(model.target.dimensions)} if model.target.dimensions else {}),
        "sample_rate": log_mel.SAMPLE_RATE,
        "calibration_temperature": model.calibration_temperature,
        "network": {
            "file": out.name,
            "inputs": sequences | {f"{name}_length": ["batch"] for name in dims},
            "outputs": {model.target.output: ["batch", len(model.labels)]},
        },
        "acoustic": acoustic,
        "text": {"dim": dims[TEXT]} if TEXT in dims else None,
    }


def _require(*names: str) -> list[Any]:
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise InputError(f"ONNX needs the package {error.name}; pip install 'pathosnet[onnx]'") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what tracing says about itself from people who cannot change it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
