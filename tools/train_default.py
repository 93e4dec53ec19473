"""Makes the model ``base`` that comes with the package, from CREMA-D, on a CPU.

    pathosnet corpora import cremad FOLDER cremad.csv
    python tools/train_default.py cremad.csv --out base

Needs the encoder Whisper-base, see ``pathosnet weights``. What takes time is kept, so that a run that was interrupted
goes on: features in the feature store (every recording as it is, and its copies through other channels), and each
network that is finished beside the model. The same seed gives the same model, up to rounding.

More manifests add corpora that you may train on. The package's model is made of CREMA-D alone, whose license (ODbL 1.0)
lets a trained model be passed on with attribution.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from channels import degrade_recording
from default_training import Recipe, Table, fit_networks, fit_temperatures, soft_targets
from torch import Tensor

from pathosnet import InputError, PathosNet
from pathosnet.corpora import Corpus, read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiments.run_folder import facts_of_corpus
from pathosnet.features.acoustic.extractors.speech_encoder import SpeechEncoderExtractor, make_encoder_extractor
from pathosnet.features.extract import extract, extract_features
from pathosnet.features.profile import ProfileCalibration
from pathosnet.features.store import FeatureStore, default_store, hash_weights
from pathosnet.features.store import Recipe as FeatureRecipe
from pathosnet.files import hash_file
from pathosnet.models.network import BranchOptions, EmotionNetwork
from pathosnet.recognizer.card import Facts
from pathosnet.recognizer.files import read_safetensors, write_safetensors
from pathosnet.recognizer.folder import WEIGHTS_FILE
from pathosnet.recognizer.reach import measure_reach

ENCODER = "whisper-base"
LAYERS = "2,3,4,5"
TEMPERATURE = 1.508
PROFILE_CALIBRATION = ProfileCalibration(temperature=0.752, recordings=1.166)
"""Fitted on four corpora in other languages than the training's, none of which the card reports."""
CHANNELS = 1
"""To be raised when the copies come to be made differently."""
AT_ONCE = 500  # recordings, after which features are written


def read_corpus(paths: list[Path], dropped: list[str], limit: int | None) -> Corpus:
    """Reads manifests, whose speakers have to be known; ``limit`` takes every n-th row so that no more are left."""
    corpus = read_manifest(paths, PAPER_EMOTIONS, drop_labels=dropped)
    if limit is not None:
        corpus = replace(corpus, utterances=corpus.utterances[:: max(1, -(-len(corpus) // limit))])
    for utterance in corpus.utterances:
        if not utterance.speaker:
            raise InputError(f"{utterance.where}: has no speaker; expected one in every row, since profiles are theirs")
    return corpus


def features_of(corpus: Corpus, extractor: SpeechEncoderExtractor, store: FeatureStore) -> Tensor:
    """Returns the recordings' features, ``(recordings, features)``; NaN where one is too short."""
    found: list[Tensor] = []
    for start in range(0, len(corpus), AT_ONCE):
        positions = range(start, min(start + AT_ONCE, len(corpus)))
        table = extract_features(corpus, {extractor.name: extractor}, None, positions=positions, workers=0, store=store)
        found += table.sequences[extractor.name]
        print(f"features: {len(found)} of {len(corpus)} recordings", flush=True)
    return torch.stack([one.mean(dim=0) for one in found])


def features_of_copies(corpus: Corpus, extractor: SpeechEncoderExtractor, store: FeatureStore, *, seed: int) -> Tensor:
    """Returns the features of a copy of each recording, through a channel that recording and seed decide."""
    config = {**extractor.recipe(), "channels": CHANNELS, "seed": seed}
    recipe = FeatureRecipe(extractor.name, "copies", config, weights=hash_weights(extractor), format=extractor.version)
    shelf = store.shelf(recipe)
    keys = [hash_file(utterance.audio) for utterance in corpus.utterances]
    missing = [i for i, key in enumerate(keys) if key not in shelf.find(keys)]
    for start in range(0, len(missing), AT_ONCE):
        rows = missing[start : start + AT_ONCE]
        generators = [np.random.default_rng([seed, int(keys[i][:16], 16)]) for i in rows]
        changed = extract(
            [corpus.utterances[i] for i in rows],
            {extractor.name: extractor},
            workers=0,
            change=lambda waveform, i, own=generators: degrade_recording(waveform, own[i]),
        )
        with shelf.writing() as add:
            for i, made in changed:
                add(keys[rows[i]], made[extractor.name])
        print(f"copies {seed + 1}: {start + len(rows)} of {len(missing)} recordings", flush=True)
    known = shelf.find(keys)
    return torch.stack([known[key].mean(dim=0) for key in keys])


def make_table(corpus: Corpus, extractor: SpeechEncoderExtractor, store: FeatureStore, *, copies: int = 0) -> Table:
    """Collects what training needs, without recordings that are too short.

    Args:
        corpus: recordings.
        extractor: of the features.
        store: where features are kept.
        copies: of each recording, every one through another channel.
    """
    variants = [features_of(corpus, extractor, store)]
    variants += [features_of_copies(corpus, extractor, store, seed=seed) for seed in range(copies)]
    features = torch.stack(variants)
    kept = features.isfinite().all(dim=2).all(dim=0).nonzero().flatten().tolist()
    if len(kept) < len(corpus):
        print(f"{len(corpus) - len(kept)} recordings are too short and left out")
    truth = corpus.truth(kept)
    speakers = tuple(f"{corpus.utterances[i].corpus}/{corpus.utterances[i].speaker}" for i in kept)
    return Table(features[:, kept], soft_targets(corpus.vote_shares(kept), truth), truth, speakers=speakers)


def make_model(
    state: dict[str, Tensor],
    extractor: SpeechEncoderExtractor,
    facts: Facts,
    *,
    features: Tensor,
    alone: float,
    known: ProfileCalibration,
) -> PathosNet:
    """Puts merged weights into the library's own network.

    Args:
        state: see ``fit_networks``.
        extractor: of the features.
        facts: for the card.
        features: that it was trained on, ``(variants, recordings, features)``.
        alone: temperature without a profile.
        known: how it falls with one.
    """
    name, width = extractor.name, len(state["hidden.bias"])
    options = BranchOptions(audio_width=width, dropout=0.0, network="mlp", pooling="mean", standardize=True)
    network = EmotionNetwork({name: extractor.feature_dim}, len(PAPER_EMOTIONS), options=options)
    branch = f"branches.{name}"
    network.load_state_dict(
        {
            f"{branch}.standardize.mean": state["mean"],
            f"{branch}.standardize.deviation": state["deviation"],
            f"{branch}.hidden.0.weight": state["hidden.weight"],
            f"{branch}.hidden.0.bias": state["hidden.bias"],
            "classifier.weight": state["output.weight"],
            "classifier.bias": state["output.bias"],
        }
    )
    return PathosNet(
        network,
        {name: extractor},
        None,
        facts=facts,
        calibration_temperature=alone,
        profile_calibration=known,
        reach=measure_reach(network, {name: features.flatten(0, 1).unsqueeze(1)}),
    )


def save_small(model: PathosNet, folder: Path) -> None:
    """Saves a model with half-precision weights; what standardizes stays as it is."""
    model.save_pretrained(folder, overwrite=True, model_card_kwargs={"license": "odbl"})
    path = folder / WEIGHTS_FILE
    state = read_safetensors(path)
    write_safetensors(path, {key: one if ".standardize." in key else one.half() for key, one in state.items()})


def main() -> None:
    """Runs the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", type=Path, help="CREMA-D's CSV file, perhaps others; with speakers")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model; an earlier one is replaced")
    parser.add_argument("--seeds", type=int, default=5, help="networks that are merged")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--copies", type=int, default=3, help="of each recording, every one through another channel")
    parser.add_argument("--encoder", default=ENCODER, help="speech encoder")
    parser.add_argument("--layers", default=LAYERS, help="its hidden states")
    parser.add_argument("--store", type=Path, help="feature store; the library's own if not given")
    parser.add_argument("--development", nargs="*", default=[], type=Path, help="corpora to fit the temperatures on")
    parser.add_argument("--drop-labels", nargs="*", default=["disgust", "fear", "surprise", "calm"])
    parser.add_argument("--limit", type=int, help="take at most so many recordings, for a try")
    options = parser.parse_args()
    try:
        train(options)
    except InputError as error:
        parser.error(str(error))


def train(options: argparse.Namespace) -> None:
    """Makes the model that options ask for; see ``main``."""
    store = FeatureStore(options.store) if options.store else default_store()
    if store is None:
        raise InputError("expected a feature store that can be written to; name one with --store FOLDER")
    corpus = read_corpus(options.manifests, options.drop_labels, options.limit)
    extractor = make_encoder_extractor(options.encoder, layers=options.layers, rate=0.0, level="peak")
    table = make_table(corpus, extractor, store, copies=options.copies)
    recipe = Recipe(epochs=options.epochs)
    unfinished = options.out.with_name(f"{options.out.name}.networks") / _hash(recipe, extractor, table)
    state = fit_networks(table, recipe, options.seeds, unfinished)
    alone, known = TEMPERATURE, PROFILE_CALIBRATION
    if options.development:
        corpora = [read_corpus([path], options.drop_labels, None) for path in options.development]
        alone, known = fit_temperatures(state, [make_table(one, extractor, store) for one in corpora])
        print(f"temperatures: {alone} alone, {known}")
    names = dict.fromkeys(utterance.corpus for utterance in corpus.utterances)
    facts = Facts(corpora=tuple(facts_of_corpus(corpus, name) for name in names), seed=0)
    save_small(make_model(state, extractor, facts, features=table.features, alone=alone, known=known), options.out)
    print(f"{options.out}: written")


def _hash(recipe: Recipe, extractor: SpeechEncoderExtractor, table: Table) -> str:
    """Tells networks of other settings or recordings from these."""
    about = json.dumps([asdict(recipe), extractor.recipe(), sorted(table.speakers)]).encode()
    digest = hashlib.sha256(about)
    for part in (table.features, table.targets):
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main()
