"""Speech encoders of ``torchaudio.pipelines``: wav2vec 2.0, XLS-R, HuBERT and WavLM, without further packages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import SAMPLE_RATE, SpeechEncoder
from pathosnet.features.acoustic.encoders.recording import by_length, hidden_states

BUNDLE_PREFIX = "torchaudio:"
WINDOW_SECONDS = 30
FEW_SAMPLES = 400  # 25 ms, what the first vector reads


class BundledEncoder(SpeechEncoder):
    """Recordings → outputs of the layers of a torchaudio model, 50 vectors a second, as its ``extract_features``.

    Args:
        network: what ``bundle.get_model()`` returns.
        name: of the bundle.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__(
            network,
            dim=_inner(network).encoder.transformer.pos_conv_embed.embed_dim,
            num_layers=(count := len(_inner(network).encoder.transformer.layers)),
            hop_samples=320,
            min_samples=FEW_SAMPLES,
            max_samples=WINDOW_SECONDS * SAMPLE_RATE,
            default_layers=(count // 3, 2 * count // 3),
        )
        self.name = name

    def forward(self, waveforms: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
        """Computes ``(layers, time, dim)`` for each recording, see SpeechEncoder."""
        network: Any = self.network

        def compute(batch: Tensor) -> Tensor:
            return hidden_states(
                lambda: network.extract_features(batch), list(_inner(network).encoder.transformer.layers), layers
            )

        return by_length(waveforms, compute)

    def save(self, folder: Path) -> None:
        """Is not possible.

        Raises:
            InputError: always.
        """
        raise InputError(f"{BUNDLE_PREFIX}{self.name}: cannot be held in a model; save it with a reference instead")


def open_bundle(name: str) -> BundledEncoder:
    """Opens a bundle; torchaudio fetches its weights once, into torch's cache.

    Raises:
        InputError: torchaudio cannot be imported, has no such bundle, or cannot fetch it.
    """
    try:
        from torchaudio import pipelines
    except (ImportError, OSError, RuntimeError) as error:  # the last two where it was built for another torch
        raise InputError(
            f"{BUNDLE_PREFIX}{name}: torchaudio cannot be imported ({error}); install the version of your torch"
        ) from error
    bundle = getattr(pipelines, name, None)
    if not isinstance(bundle, pipelines.Wav2Vec2Bundle):
        known = [one for one in dir(pipelines) if isinstance(getattr(pipelines, one), pipelines.Wav2Vec2Bundle)]
        raise InputError(f"{BUNDLE_PREFIX}{name}: torchaudio has no such encoder; expected {', '.join(known)}")
    try:
        return BundledEncoder(bundle.get_model(), name)
    except Exception as error:  # torch.hub's have no common class
        raise InputError(f"{BUNDLE_PREFIX}{name}: cannot be fetched ({error}); check the network") from error


def _inner(network: Any) -> Any:
    """Returns the model under the one that normalizes waveforms, if there is such."""
    return getattr(network, "model", network)
