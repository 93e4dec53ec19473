"""Random numbers and settings of the whole process: training sets them, and puts them back."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")


@contextmanager
def preserved_state() -> Iterator[None]:
    """Puts back what Lightning changes for the whole process.

    These are the generators of Python, NumPy and PyTorch, deterministic mode, cuDNN's settings, the precision of matrix
    products, and environment variables. Within, deterministic mode does not fill new memory, which costs time: nothing
    here reads what it has not written.
    """
    python, numpy = random.getstate(), np.random.get_state()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    precision = torch.get_float32_matmul_precision()
    variables = {name: os.environ.get(name) for name in VARIABLES}
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        memory.fill_uninitialized_memory = False
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        memory.fill_uninitialized_memory = filled
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
        torch.set_float32_matmul_precision(precision)
        for name, value in variables.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds all generators, and puts them back in the end; see ``preserved_state``."""
    with preserved_state():
        pl.seed_everything(seed, verbose=False)
        yield
