"""PATHOSnet: multilingual emotion recognition from speech and its transcript.

Scotti, Galati, Sbattella, Tedesco: Combining deep and unsupervised features for multilingual speech emotion
recognition, ICPR 2020 workshops, doi 10.1007/978-3-030-68790-8_10.
"""

import lazy_loader

__version__ = "0.2.0"

# On demand, so that `import pathosnet` and `pathosnet --help` answer without loading PyTorch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
