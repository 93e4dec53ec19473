"""Whether an encoder's files hold the weights that its ``config.json`` asks for, before anything is made of it.

The configuration is a stranger's, perhaps, and memory is taken as it says.
"""

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules import module as registration

from pathosnet.errors import InputError
from pathosnet.files import read_json

MAX_CONFIG_BYTES = 1 << 24
MAX_NUMBER = 1 << 20  # of pieces, positions, layers …
SPARE_VALUES = 1 << 24  # the pooler, which files may lack, and tables of positions and masks, which they need not hold
SPARE_MODULES = 1000
MODULES_PER_TENSOR = 16  # BERT has one


def import_transformers(source: str) -> Any:
    """Imports transformers.

    Args:
        source: what needs it, for messages.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"{source}: needs the transformers package; pip install 'pathosnet[transformers]'") from error
    return transformers


@contextmanager
def quietly(transformers: Any) -> Iterator[None]:
    """Leaves out transformers' progress bars, and its notes on weights that are not needed."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def read_config(transformers: Any, folder: Path) -> Any:
    """Reads an encoder's configuration.

    Args:
        transformers: the package.
        folder: the encoder's.

    Returns:
        The configuration as transformers has it. What it says about how attention is computed is left out: it can
        name programs that would be fetched.

    Raises:
        InputError: it is missing, asks for more than the weights beside it hold, or for an adapter.
    """
    path = folder / "config.json"
    if path.is_file() and path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"{path.name}: is larger than {MAX_CONFIG_BYTES:,} bytes; it describes no encoder")
    for name, number in _whole_numbers(read_json(path)):
        if number > MAX_NUMBER and not name.endswith("theta"):  # of rotary positions, no size
            raise InputError(f"{path.name}: {name}: expected a number up to {MAX_NUMBER:,}, got {number}")
    if (folder / "adapter_config.json").exists():
        raise InputError("adapter_config.json: adapters are not read; merge it into the encoder's weights")
    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = transformers.AutoConfig.from_pretrained(folder, **only_here)
    config._attn_implementation = None
    shapes = list(_stored_shapes(folder))
    values = 2 * sum(map(math.prod, shapes)) + SPARE_VALUES
    with torch.device("meta"), _no_more_than(values, MODULES_PER_TENSOR * len(shapes) + SPARE_MODULES):
        transformers.AutoModel.from_config(config, trust_remote_code=False)
    return config


def _whole_numbers(config: Any) -> Iterator[tuple[str, int]]:
    """Yields the whole numbers in JSON, with their names."""
    left: list[tuple[str, Any]] = [("", config)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            left += [(name, part) for part in value]
        elif isinstance(value, int):
            yield name, value


def _stored_shapes(folder: Path) -> Iterator[Iterable[int]]:
    """Yields the shapes of the tensors in a folder's files of weights, of which only the headers are read."""
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  # it is no dict
                yield file.get_slice(name).get_shape()
    if (pickled := folder / "pytorch_model.bin").is_file() and not any(folder.glob("*.safetensors")):
        for value in torch.load(pickled, map_location="cpu", weights_only=True, mmap=True).values():
            yield value.shape


@contextmanager
def _no_more_than(max_values: int, max_modules: int) -> Iterator[None]:
    """Ends the making of networks in this thread as soon as they are larger.

    Args:
        max_values: in parameters and buffers.
        max_modules: networks and layers.
    """
    thread = threading.get_ident()
    seen: dict[int, nn.Module | Tensor] = {}  # kept alive, so that no other gets the same number
    num_values = num_modules = 0

    def count(_: nn.Module, name: str, part: nn.Module | Tensor | None) -> None:
        nonlocal num_values, num_modules
        if part is None or id(part) in seen or threading.get_ident() != thread:
            return
        seen[id(part)] = part
        if isinstance(part, nn.Module):
            num_modules += 1
        else:
            num_values += part.numel()
        if num_values > max_values or num_modules > max_modules:
            raise InputError("config.json asks for more than the weights beside it hold")

    with ExitStack() as stack:
        for kind in ("module", "parameter", "buffer"):
            handle = getattr(registration, f"register_module_{kind}_registration_hook")(count)
            stack.callback(handle.remove)
        yield
