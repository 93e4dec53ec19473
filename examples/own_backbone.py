"""Trains on an acoustic feature of one's own: mel-frequency cepstral coefficients.

python examples/own_backbone.py corpus.csv runs/mfcc

The same class on the command line: pathosnet train corpus.csv --plugin examples/own_backbone.py --acoustic mfcc …
"""

import sys
from typing import Any

import torch
from scipy.fft import dct

from pathosnet import PathosNet, TrainConfig, train
from pathosnet.features import log_mel_frames
from pathosnet.features.acoustic.extractors import AcousticExtractor, register_extractor


@register_extractor
class MFCC(AcousticExtractor):
    """The first coefficients of each log-mel frame's cosine transform, every 10 ms."""

    name = "mfcc"

    def __init__(self, num_coefficients: int = 20) -> None:
        super().__init__(feature_dim=num_coefficients)

    def front_end(self, waveform: torch.Tensor) -> torch.Tensor:
        """Turns (samples,) at 16 kHz into (time, num_coefficients)."""
        cepstrum = dct(log_mel_frames(waveform).cpu().numpy(), norm="ortho")[:, : self.feature_dim]
        return torch.from_numpy(cepstrum).to(waveform)

    def config(self) -> dict[str, Any]:
        """Says what a saved model needs to make the same extractor again."""
        return {"num_coefficients": self.feature_dim}


if __name__ == "__main__":
    corpus, out = sys.argv[1:3]
    config = TrainConfig(acoustic="mfcc", feature_options={"mfcc": {"num_coefficients": 13}}, epochs=8)
    run = train(corpus, out, config)
    if run.metrics is not None:
        print(run.metrics.summary())
    print("saved and loaded:", PathosNet.from_pretrained(out).acoustic["mfcc"].config())
