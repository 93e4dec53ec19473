"""Recordings and transcripts → sequences that the branches read."""

import lazy_loader

# On demand, so that names of features can be checked without loading PyTorch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
