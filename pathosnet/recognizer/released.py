"""The models that PATHOSnet's authors released, with their settings."""

from pathlib import Path

from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import AcousticExtractor, GhostVLADExtractor, VGGishExtractor
from pathosnet.features.store import default_store
from pathosnet.features.text.embedder import ANY_LANGUAGE
from pathosnet.models import TEXT
from pathosnet.recognizer.card import Facts
from pathosnet.recognizer.folder import ModelParts
from pathosnet.targets import ClassTarget
from pathosnet.weights import load_pathosnet, load_thin_resnet34, load_vggish


def read_released(
    path: str | Path,
    *,
    vggish: str | Path,
    ghostvlad: str | Path,
    vectors: str | Path | WordVectors | None,
    max_words: int,
) -> ModelParts:
    """Reads a released model; see ``PathosNet.from_keras``."""
    network = load_pathosnet(path)
    text = None
    if TEXT in network.input_dims:
        if vectors is None:
            raise InputError(f"{path}: reads text as well; pass the word vectors of its language, vectors=FILE")
        if not isinstance(vectors, WordVectors):
            vectors = WordVectors.load(vectors, max_words, dim=network.input_dims[TEXT], store=default_store())
        text = TextEmbedder({ANY_LANGUAGE: vectors})
    acoustic: dict[str, AcousticExtractor] = {
        "vggish": VGGishExtractor(load_vggish(vggish, output="softmax")),
        "ghostvlad": GhostVLADExtractor(load_thin_resnet34(ghostvlad)),
    }
    return ModelParts(
        network, acoustic, text, labels=ClassTarget(PAPER_EMOTIONS), facts=Facts(), calibration_temperature=1.0
    )
