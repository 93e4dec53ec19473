"""PathosNet: recordings and transcripts in, emotions out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from pathosnet import __version__
from pathosnet.audio import load_audio, to_mono
from pathosnet.emotions import PAPER_EMOTIONS, check_labels, valence_of
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor, GhostVLADExtractor, VGGishExtractor, extract_together
from pathosnet.feature_store import default_store
from pathosnet.features import TextEmbedder, WordVectors, tokenize
from pathosnet.features.text_embedder import ANY_LANGUAGE
from pathosnet.files import written_aside
from pathosnet.hub import find_model, hub_errors
from pathosnet.model_card import Facts, write_card
from pathosnet.models import TEXT, Classified
from pathosnet.saved_model import CONFIG_FILE, load_model, save_model
from pathosnet.weights import load_pathosnet, load_thin_resnet34, load_vggish

if TYPE_CHECKING:
    from pathosnet.experiment import Run

Audio = str | Path | Any
"""A file, or samples: ``(samples,)`` or ``(samples, channels)``."""


@dataclass(frozen=True)
class Prediction:
    """What a recording expresses.

    ``label`` is the most probable emotion; ``probabilities`` sum to 1 over the labels; ``valence`` sums those of
    positive and of negative emotions. Of a model that estimates numbers these are empty, and ``dimensions`` has its
    estimates by name, in the units that it was trained with.
    """

    label: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    valence: dict[str, float] = field(default_factory=dict)
    dimensions: dict[str, float] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """What the model says of each of its labels: probabilities, or estimates."""
        return self.dimensions or self.probabilities

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that are not empty as JSON values."""
        return {name: value for name, value in asdict(self).items() if value}


class PathosNet(ModelHubMixin, library_name="pathosnet"):
    """A trained model with everything it needs to predict.

    Args:
        network: branches under a classifier.
        acoustic: acoustic feature → its extractor, for every audio branch.
        text: word vectors, if there is a text branch.
        labels: of the outputs, in order: emotions, or dimensions.
        facts: what is known about its making.
        calibration_temperature: divides the logits; see ``pathosnet.evaluation.calibration``.
        dimensional: the labels are dimensions, such as valence, of which numbers are estimated.
    """

    def __init__(
        self,
        network: Classified,
        acoustic: Mapping[str, AcousticExtractor],
        text: TextEmbedder | None,
        labels: Sequence[str] = PAPER_EMOTIONS,
        facts: Facts | None = None,
        calibration_temperature: float = 1.0,
        dimensional: bool = False,
    ) -> None:
        if not dimensional:
            check_labels(labels)
        if len(labels) != network.num_classes:
            raise ValueError(f"expected {network.num_classes} labels, got {list(labels)}")
        dims = {name: extractor.feature_dim for name, extractor in acoustic.items()}
        if text is not None:
            dims[TEXT] = text.dim
        if dims != network.input_dims:
            raise InputError(f"expected features of dimensions {network.input_dims} for this network, got {dims}")
        self.network = network.eval()
        self.acoustic = nn.ModuleDict(acoustic).eval()
        self.text = text
        self.labels = tuple(labels)
        self.facts = facts or Facts()
        self.calibration_temperature = calibration_temperature
        self.dimensional = dimensional

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        text: TextEmbedder | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        weights: str | Path | None = None,
    ) -> "PathosNet":
        """Reads a saved model.

        Args:
            pretrained_model_name_or_path: the folder that ``save_pretrained`` or ``pathosnet train`` wrote, or
                ``user/name`` on the hub.
            text: word vectors to take instead of the saved ones.
            revision: branch, tag or commit on the hub.
            cache_dir: where to keep what is fetched; the hub's own cache if None.
            token: for models on the hub that are not for everybody.
            local_files_only: ask nobody, take what was fetched earlier.
            force_download: fetch it again.
            weights: folder with weights that the model refers to, besides the cache of ``pathosnet weights``.

        Raises:
            InputError: there is no such model, or it is damaged.
        """
        return cls._from_pretrained(
            model_id=str(pretrained_model_name_or_path),
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            text=text,
            weights=weights,
        )

    @classmethod
    def _from_pretrained(  # type: ignore[override]
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        text: TextEmbedder | None = None,
        weights: str | Path | None = None,
    ) -> "PathosNet":
        folder = find_model(model_id, revision, cache_dir, token, local_files_only, force_download)
        return cls(*load_model(folder, text, Path(weights) if weights else None))

    @classmethod
    def from_keras(
        cls,
        path: str | Path,
        *,
        vggish: str | Path,
        ghostvlad: str | Path,
        vectors: str | Path | WordVectors | None = None,
        max_words: int = 50_000,
    ) -> "PathosNet":
        """Runs a model that PATHOSnet's authors released, with their settings.

        VGGish ends with a softmax, GhostVLAD reads windows of 0.3 s every 0.15 s after silence removal, unknown words
        are cut from their end, then stand for ``unknown``.

        Args:
            path: the network's Keras ``.h5``, multimodal or voice.
            vggish: the authors' VGGish ``.h5``, or another file with its dense layers.
            ghostvlad: the Thin ResNet-34 + GhostVLAD ``.h5``.
            vectors: word vectors of the model's language (a file, or loaded); needed if it is multimodal.
            max_words: words to read of the file.
        """
        network = load_pathosnet(path)
        text = None
        if TEXT in network.input_dims:
            if vectors is None:
                raise InputError(f"{path}: reads text as well; pass the word vectors of its language, vectors=FILE")
            dim = network.input_dims[TEXT]
            table = (
                vectors
                if isinstance(vectors, WordVectors)
                else WordVectors.load(vectors, max_words, dim=dim, store=default_store())
            )
            text = TextEmbedder({ANY_LANGUAGE: table})
        acoustic: dict[str, AcousticExtractor] = {
            "vggish": VGGishExtractor(load_vggish(vggish, output="softmax")),
            "ghostvlad": GhostVLADExtractor(load_thin_resnet34(ghostvlad)),
        }
        return cls(network, acoustic, text, PAPER_EMOTIONS)

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        overwrite: bool = False,
        embed_weights: bool = True,
        *,
        config: None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Writes the model: weights and word vectors as safetensors, the rest as JSON. Nothing is pickled.

        fastText ``.bin`` models are too large to be copied: they are referred to by path and fingerprint. Encoders of
        the Hugging Face hub are referred to by name, commit and hash; those of a folder are copied.

        Args:
            save_directory: to be made; it appears whole or not at all.
            overwrite: replace the folder if it is there and holds a model.
            embed_weights: False refers to the files of pre-trained weights by name and hash, and holds only what was
                trained since; who loads the model needs the same files.
            config: not used; the hub's interface has it.
            repo_id: name on the hub; the folder's if None.
            push_to_hub: upload it, too.
            model_card_kwargs: ``license`` of the weights and ``name`` of the model, for the README.
            **push_to_hub_kwargs: see ``push_to_hub``.

        Returns:
            The address of the upload, if there was one.

        Raises:
            InputError: the folder exists, or weights that are not to be embedded are in no file that is here.
        """
        with written_aside(save_directory, overwrite, marker=CONFIG_FILE) as aside:
            self.save_into(aside, embed_weights, **(model_card_kwargs or {}))
        if not push_to_hub:
            return None
        repo_id = repo_id or Path(save_directory).name
        return self.push_to_hub(repo_id, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save_into(save_directory)

    def save_into(self, folder: Path, embed_weights: bool = True, **card: str) -> None:
        """Writes the model's files into an existing folder; ``card``: see ``write_card``."""
        acoustic = self.extractors
        save_model(
            folder,
            self.labels,
            self.network,
            acoustic,
            self.text,
            __version__,
            self.facts,
            embed_weights,
            self.calibration_temperature,
            self.dimensional,
        )
        sources = {name: getattr(extractor.backbone, "source", None) for name, extractor in acoustic.items()}
        backbones = {name: source.file if source else "" for name, source in sources.items()}
        write_card(folder, self.labels, backbones, self.text is not None, self.facts, self.dimensional, **card)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Uploads the model to the hub, as ``save_pretrained`` writes it.

        Args:
            repo_id: ``user/name``; it is made if it is not there.
            **options: ``commit_message``, ``private``, ``token``, ``branch``, ``create_pr``,
                ``model_card_kwargs={"license": …}`` and others of ``huggingface_hub.ModelHubMixin.push_to_hub``.

        Returns:
            The address of the commit.

        Raises:
            InputError: the hub cannot be reached, or does not let you.
        """
        options["model_card_kwargs"] = {"name": repo_id, **(options.get("model_card_kwargs") or {})}
        with hub_errors(repo_id):
            return str(super().push_to_hub(repo_id, **options))

    def finetune(self, corpus: str | Path | Sequence[str | Path], out: str | Path, **options: Any) -> "Run":
        """Trains the model further on labelled recordings of one's own; itself it stays as it is.

        Args:
            corpus: one manifest or several.
            out: the folder to make.
            **options: of ``pathosnet.finetuning.finetune``: ``config``, ``train``, ``overwrite``, ``logger``.

        Returns:
            The finished run, with the new model.
        """
        from pathosnet.finetuning import finetune

        return finetune(self, corpus, out, **options)

    def to(self, device: str | torch.device) -> "PathosNet":
        """Moves network, backbones and an encoder of text to a device, and returns self."""
        self.network.to(device)
        self.acoustic.to(device)
        if self.text is not None:
            self.text.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def predict(
        self,
        audio: Audio | None = None,
        text: str | None = None,
        language: str | None = None,
        sample_rate: int | None = None,
    ) -> Prediction:
        """Recognises the emotion of one utterance.

        Voice or text may be missing. One row of zeros then stands for it, as in the authors' code: the answer makes
        sense if the model was trained with modality dropout, and is unreliable otherwise. What the model does not read
        (text, for a voice-only model) is left aside.

        Args:
            audio: a file that libsndfile reads, or samples with their ``sample_rate``.
            text: what is said.
            language: of the text, such as ``"it"``; found out if None and the model has several languages.
            sample_rate: of samples, in Hz.

        Raises:
            InputError: the recording cannot be used, or nothing was given that the model reads.
        """
        return self.predict_batch([audio], [text], [language], sample_rate)[0]

    def predict_batch(
        self,
        audios: Sequence[Audio | None],
        texts: Sequence[str | None] | None = None,
        languages: Sequence[str | None] | None = None,
        sample_rate: int | None = None,
        batch_size: int = 32,
    ) -> list[Prediction]:
        """Recognises the emotions of several utterances; each one's answer is the same as alone.

        Args:
            audios: see ``predict``.
            texts: as many, or None.
            languages: as many, or None.
            sample_rate: of samples, in Hz.
            batch_size: utterances that go through the network together.

        Returns:
            One prediction an utterance, in order.
        """
        texts = [None] * len(audios) if texts is None else texts
        languages = [None] * len(audios) if languages is None else languages
        if not len(audios) == len(texts) == len(languages):
            raise InputError(
                f"expected as many texts and languages as audios ({len(audios)}), got {len(texts)} and {len(languages)}"
            )
        predictions: list[Prediction] = []
        for start in range(0, len(audios), batch_size):
            rows = range(start, min(start + batch_size, len(audios)))
            waveforms = (_to_waveform(audios[i], sample_rate) for i in rows)
            features = self._features(waveforms, [texts[i] for i in rows], [languages[i] for i in rows])
            predictions += [self.to_prediction(row) for row in self.outputs(features)]
        return predictions

    def features(
        self, waveform: Tensor | None, text: str | None = None, language: str | None = None
    ) -> dict[str, Tensor]:
        """Extracts the feature sequences of one utterance.

        Args:
            waveform: ``(samples,)`` at 16 kHz, or None.
            text: what is said; None or blank if that is not known.
            language: of the text.

        Returns:
            Input name → ``(time, features)``; no rows for what is missing or too short.

        Raises:
            InputError: nothing was given that the model reads.
        """
        return self._features([waveform], [text], [language])[0]

    @torch.no_grad()
    def _features(
        self, waveforms: Iterable[Tensor | None], texts: Sequence[str | None], languages: Sequence[str | None]
    ) -> list[dict[str, Tensor]]:
        extractors = self.extractors
        embedded = self._embed(texts, languages)
        found: list[dict[str, Tensor]] = []
        listened: list[int] = []  # which of them have audio

        def heard() -> Iterator[Tensor]:
            for waveform, text, words in zip(waveforms, texts, embedded, strict=True):
                features = {name: torch.zeros(0, e.feature_dim, device=self.device) for name, e in extractors.items()}
                self._check_given(waveform is not None, text)
                found.append(features | words)
                if waveform is not None:
                    listened.append(len(found) - 1)
                    yield waveform.to(self.device)

        for i, features in enumerate(extract_together(heard(), extractors)):
            found[listened[i]] |= features
        return found

    def _embed(self, texts: Sequence[str | None], languages: Sequence[str | None]) -> list[dict[str, Tensor]]:
        if self.text is None:
            return [{} for _ in texts]
        keys = [
            self.text.choose_table(tokenize(text or ""), language)
            for text, language in zip(texts, languages, strict=True)
        ]
        return [{TEXT: vectors.to(self.device)} for vectors in self.text.embed_all(texts, keys)]

    def _check_given(self, has_audio: bool, text: str | None) -> None:
        if not (has_audio and len(self.acoustic)) and (not text or not text.strip() or self.text is None):
            kinds = " or ".join((["audio"] if len(self.acoustic) else []) + ([TEXT] if self.text else []))
            raise InputError(f"this model reads {kinds}: expected at least one of its inputs, got none")

    @torch.no_grad()
    def outputs(self, features: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Classifies one batch of utterances, or estimates their dimensions.

        Args:
            features: what ``features`` returned for each.

        Returns:
            Probabilities or estimates, ``(utterances, labels)`` on the CPU.
        """
        padded, lengths = {}, {}
        for name in self.network.input_dims:
            sequences = [utterance[name] for utterance in features]
            padded[name] = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
            lengths[name] = torch.tensor([len(sequence) for sequence in sequences], device=self.device)
        logits = self.network(lengths=lengths, **padded)
        if self.dimensional:
            return logits.float().cpu()
        return torch.softmax(logits.float() / self.calibration_temperature, dim=1).cpu()

    def to_prediction(self, outputs: Tensor) -> Prediction:
        """Names the outputs of one utterance, ``(labels,)``."""
        named = dict(zip(self.labels, outputs.tolist(), strict=True))
        if self.dimensional:
            return Prediction(dimensions=named)
        return Prediction(max(named, key=named.__getitem__), named, valence_of(named))

    @property
    def extractors(self) -> dict[str, AcousticExtractor]:
        """Acoustic feature → its extractor."""
        return {name: part for name, part in self.acoustic.items() if isinstance(part, AcousticExtractor)}


def _to_waveform(audio: Audio | None, sample_rate: int | None) -> Tensor | None:
    if audio is None:
        return None
    if isinstance(audio, (str, Path)):
        return load_audio(audio)
    if sample_rate is None:
        raise InputError("samples were given without their rate; pass sample_rate=16000, or whatever they have")
    return to_mono(audio, sample_rate)
