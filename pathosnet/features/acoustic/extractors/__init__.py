"""From a waveform to a sequence of acoustic features: a front end, a backbone if there is one, and the windows."""

from pathosnet.features.acoustic.extractors.base import (
    AcousticExtractor,
    Part,
    Precision,
    extract_together,
    extractor_from_config,
    register_extractor,
)
from pathosnet.features.acoustic.extractors.ghostvlad import GhostVLADExtractor
from pathosnet.features.acoustic.extractors.logmel import LogMelExtractor
from pathosnet.features.acoustic.extractors.mel_cnn import MelCNNExtractor
from pathosnet.features.acoustic.extractors.opensmile import OpenSmileExtractor
from pathosnet.features.acoustic.extractors.speech_encoder import SpeechEncoderExtractor
from pathosnet.features.acoustic.extractors.vggish import VGGishExtractor

__all__ = [
    "AcousticExtractor",
    "GhostVLADExtractor",
    "LogMelExtractor",
    "MelCNNExtractor",
    "OpenSmileExtractor",
    "Part",
    "Precision",
    "SpeechEncoderExtractor",
    "VGGishExtractor",
    "extract_together",
    "extractor_from_config",
    "register_extractor",
]
