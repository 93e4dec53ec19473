"""PathosNet: a recognizer that is loaded, saved and shared."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pathosnet
from pathosnet.features import TextEmbedder, WordVectors
from pathosnet.files import written_aside
from pathosnet.recognizer.card import write_card
from pathosnet.recognizer.folder import CONFIG_FILE, ModelParts, load_model, save_model
from pathosnet.recognizer.hub import find_model, upload_folder
from pathosnet.recognizer.inference import EmotionRecognizer
from pathosnet.recognizer.released import read_released
from pathosnet.recognizer.shipped import DEFAULT, choose_default, is_shipped, shipped_folder


class PathosNet(EmotionRecognizer):
    """A trained model with everything it needs to predict; it can be loaded, saved, shared and trained further.

    See EmotionRecognizer for the arguments, and for what it answers.
    """

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path = DEFAULT,
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
                ``user/name`` on the hub; or a model of the package: ``base`` hears with Whisper-base's encoder, which
                is fetched once, ``small`` needs nothing else, ``default`` is base where its encoder can be had.
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
        name = str(pretrained_model_name_or_path)
        if name == DEFAULT:
            name, note = choose_default()
            print(note, file=sys.stderr)
        if is_shipped(name):
            pretrained_model_name_or_path = shipped_folder(name)
        folder = find_model(
            str(pretrained_model_name_or_path),
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        model = cls(**load_model(folder, text, Path(weights) if weights else None)._asdict())
        model.origin = name
        return model

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
        parts = read_released(path, vggish=vggish, ghostvlad=ghostvlad, vectors=vectors, max_words=max_words)
        return cls(**parts._asdict())

    def save_pretrained(
        self,
        save_directory: str | Path,
        overwrite: bool = False,
        embed_weights: bool = True,
        *,
        hold_encoders: bool = False,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: Mapping[str, str] | None = None,
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
            hold_encoders: copy speech encoders into the folder. Otherwise they are referred to by name, revision and
                hash, and found in the cache.
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
            self.save_into(aside, embed_weights=embed_weights, hold_encoders=hold_encoders, card=model_card_kwargs)
        if not push_to_hub:
            return None
        repo_id = repo_id or Path(save_directory).name
        return self.push_to_hub(repo_id, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs)

    def save_into(
        self,
        folder: Path,
        *,
        embed_weights: bool = True,
        hold_encoders: bool = False,
        card: Mapping[str, str] | None = None,
    ) -> None:
        """Writes the model into an existing folder; see ``save_pretrained``; ``card`` is its ``model_card_kwargs``."""
        acoustic = self.extractors
        network = getattr(self.network, "_orig_mod", self.network)  # within what torch.compile returned
        parts = ModelParts(
            network=network,
            acoustic=acoustic,
            text=self.text,
            labels=self.target,
            facts=self.facts,
            calibration_temperature=self.calibration_temperature,
            profile_calibration=self.profile_calibration,
            reach=self.reach,
        )
        save_model(folder, parts, embed_weights=embed_weights, hold_encoders=hold_encoders)
        backbones = {name: extractor.origin for name, extractor in acoustic.items()}
        write_card(
            folder,
            self.target,
            backbones,
            reads_text=self.text is not None,
            facts=self.facts,
            layer_weights=network.layer_weights,
            **(card or {}),
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload a pathosnet model",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool = False,
        model_card_kwargs: Mapping[str, str] | None = None,
    ) -> str:
        """Uploads the model to the hub, as ``save_pretrained`` writes it.

        Args:
            repo_id: ``user/name``; it is made if it is not there.
            commit_message: of the upload.
            private: whether a new repository is hidden from others; None for the account's default.
            token: of the account; the one of ``hf auth login`` if None.
            branch: to upload to.
            create_pr: propose the upload instead.
            model_card_kwargs: ``license`` of the weights and ``name`` of the model, for the README.

        Returns:
            The address of the commit.

        Raises:
            InputError: the hub cannot be reached, or does not let you.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_into(Path(folder), card={"name": repo_id, **(model_card_kwargs or {})})
            options = {"commit_message": commit_message, "revision": branch, "create_pr": create_pr}
            return upload_folder(folder, repo_id, private, token=token, **options)

    def stream(self, sample_rate: int | None = None, **options: Any) -> "pathosnet.LiveTimeline":
        """Opens a stream for sound that comes in chunks; one answer a window goes out.

        Args:
            sample_rate: of the chunks, in Hz; None if they are ``(rate, samples)``.
            **options: ``window_seconds``, ``hop_seconds`` and others, see ``pathosnet.LiveTimeline``.
        """
        return pathosnet.LiveTimeline(self, sample_rate, **options)

    def finetune(self, corpus: str | Path | Sequence[str | Path], out: str | Path, **options: Any) -> Any:
        """Trains a copy of the model further; see ``pathosnet.finetune``, which this calls."""
        return pathosnet.finetune(self, corpus, out, **options)
