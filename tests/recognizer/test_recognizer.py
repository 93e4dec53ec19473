import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from making import random_thin_resnet34, random_vggish, tone, write_tone, write_vectors

from pathosnet import PathosNet, Prediction
from pathosnet.audio.reading import load_audio
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.features import HashedWords, TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, LogMelExtractor, VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble

SAME = 1e-5
NARROW = BranchOptions(text_width=6, audio_width=6)
SECONDS = (0.6, 0.03, 2.1, 0.974, 0.975, 0.3, 1.3)
TEXTS = ("ciao a tutti", "no", "the house", "", "good morning to you all my friends", "notte", "x y z")
LANGUAGES = ("it", "en", "en", "it", "en", "it", None)


def lively(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights whose probabilities differ from utterance to utterance."""
    torch.manual_seed(4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=2.0 * parameter[0].numel() ** -0.5)
            elif name.endswith("bias"):
                torch.nn.init.uniform_(parameter, -0.5, 0.5)
    return network


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> dict[str, WordVectors]:
    folder = tmp_path_factory.mktemp("vectors")
    words = {"en": ["the", "house", "good", "morning", "unknown", "no"], "it": ["ciao", "tutti", "notte", "a"]}
    return {code: WordVectors.load(write_vectors(folder / f"{code}.vec", w, 300, len(w))) for code, w in words.items()}


@pytest.fixture(scope="module")
def small() -> PathosNet:
    """Log-mel frames and hashed words."""
    network = lively(EmotionNetwork({"logmel": 256, "text": 300}, 4, options=NARROW))
    return PathosNet(network, {"logmel": LogMelExtractor()}, TextEmbedder({"*": HashedWords(300)}))


@pytest.fixture(scope="module")
def large(vectors) -> PathosNet:
    """An ensemble of VGGish and GhostVLAD networks with word vectors by language."""
    networks = {
        "vggish": EmotionNetwork({"vggish": 512, "text": 300}, 4, options=NARROW),
        "ghostvlad": EmotionNetwork({"ghostvlad": 512, "text": 300}, 4, options=NARROW),
    }
    acoustic = {
        "vggish": VGGishExtractor(random_vggish()),
        "ghostvlad": GhostVLADExtractor(random_thin_resnet34()),
    }
    return PathosNet(lively(Ensemble(networks, 4, temperature=2.0)), acoustic, TextEmbedder(vectors))


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Path]:
    """Tones of several pitches and lengths, some under VGGish's 0.975 s."""
    folder = tmp_path_factory.mktemp("clips")
    return [write_tone(folder / f"{i}.wav", seconds, 150.0 * (i + 1)) for i, seconds in enumerate(SECONDS)]


def numbers(*predictions: Prediction) -> np.ndarray:
    return np.array([list(prediction.probabilities.values()) for prediction in predictions])


def assert_close(ours, theirs) -> None:
    assert numbers(*ours).shape == numbers(*theirs).shape
    assert np.abs(numbers(*ours) - numbers(*theirs)).max() <= SAME


# One prediction


def test_prediction_names_labels_and_valence(small, clips):
    prediction = small.predict(clips[0], "what a day")
    assert list(prediction.probabilities) == list(PAPER_EMOTIONS)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.get)
    expected = {
        "positive": prediction.probabilities["happiness"] + prediction.probabilities["neutral"],
        "negative": prediction.probabilities["anger"] + prediction.probabilities["sadness"],
    }
    assert prediction.valence == pytest.approx(expected)


def test_prediction_is_plain_data(small, clips):
    prediction = small.predict(clips[0], "what a day")
    assert json.loads(json.dumps(prediction.to_dict())) == prediction.to_dict()
    assert set(prediction.to_dict()) == {"label", "probabilities", "valence", "warnings"}  # of a tone
    assert set(small.predict(text="what a day").to_dict()) == {"label", "probabilities", "valence"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.label = "anger"


def test_labels_without_valence_are_summed_apart():
    network = lively(EmotionNetwork({"text": 300}, 3, options=NARROW))
    model = PathosNet(network, {}, TextEmbedder({"*": HashedWords(300)}), labels=("Gioia", "anger", "wistful"))
    prediction = model.predict(text="so it goes")
    assert list(prediction.valence) == ["positive", "negative", "unknown"]
    assert prediction.valence["positive"] == pytest.approx(prediction.probabilities["Gioia"])
    assert prediction.valence["unknown"] == pytest.approx(prediction.probabilities["wistful"])


def test_probabilities_are_those_of_the_network_on_the_features(small, clips):
    """Without the batching: features, network and softmax by hand."""
    features = small.features(load_audio(clips[0]), "ciao")
    logits = small.network(**{name: value[None] for name, value in features.items()})
    expected = torch.softmax(logits, dim=1)[0].tolist()
    assert list(small.predict(clips[0], "ciao").probabilities.values()) == pytest.approx(expected, abs=SAME)


# Batches


@pytest.mark.parametrize("kind", ["small", "large"])
def test_utterances_do_not_affect_each_other(kind, request, clips):
    """Alone, together, in any order and in batches of any size."""
    model: PathosNet = request.getfixturevalue(kind)
    alone = [model.predict(*utterance) for utterance in zip(clips, TEXTS, LANGUAGES, strict=True)]
    spread = numbers(*alone).max(axis=0) - numbers(*alone).min(axis=0)
    assert spread.max() > 0.05  # they do differ
    assert_close(model.predict_batch(clips, TEXTS, LANGUAGES), alone)
    for batch_size in (1, 2, 3):
        assert_close(model.predict_batch(clips, TEXTS, LANGUAGES, batch_size=batch_size), alone)
    order = [4, 2, 6, 0, 5, 1, 3]
    shuffled = model.predict_batch(*([values[i] for i in order] for values in (clips, TEXTS, LANGUAGES)))
    assert_close(shuffled, [alone[i] for i in order])


def test_what_is_missing_in_a_batch_is_missing_alone(small, clips):
    audios, texts = [clips[2], None, clips[1], clips[0]], [None, "hello there everyone", "hm", None]
    together = small.predict_batch(audios, texts)
    assert_close(together, [small.predict(*utterance) for utterance in zip(audios, texts, strict=True)])


def test_empty_batch_has_no_predictions(small):
    assert small.predict_batch([]) == []
    assert small.embed([]).shape == (0, small.network.feature_dim)


@pytest.mark.parametrize("lists", [([None], None), (None, ["en"]), (["a", "b", "c"], ["en", "en"])])
def test_lists_of_different_lengths_are_an_error(small, clips, lists):
    with pytest.raises(InputError, match=r"expected as many texts and languages as audios \(3\)"):
        small.predict_batch(clips[:3], *lists)


def test_bad_recording_in_a_batch_is_named(small, clips, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio at all")
    with pytest.raises(InputError, match=r"bad\.wav"):
        small.predict_batch([clips[0], bad])


# Files and samples


def test_samples_are_the_same_as_their_file(small, tmp_path):
    samples = tone(0.7, 333.0)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    expected = small.predict(tmp_path / "a.wav", "hm")
    given = [samples, torch.from_numpy(samples), samples.astype(np.float64), samples.tolist()]
    assert_close([small.predict(value, "hm", sample_rate=16_000) for value in given], [expected] * 4)
    assert_close([small.predict(str(tmp_path / "a.wav"), "hm")], [expected])


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_samples_of_other_rates_are_the_same_as_their_file(small, tmp_path, rate):
    samples = tone(0.7, 333.0, rate)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    assert_close([small.predict(samples, "hm", sample_rate=rate)], [small.predict(tmp_path / "a.wav", "hm")])


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_integer_samples_are_scaled(small, kind):
    scale = -float(np.iinfo(kind).min)
    integers = np.round(tone(0.7, 333.0) * scale).astype(kind)
    expected = small.predict((integers / scale).astype(np.float32), "hm", sample_rate=16_000)
    assert_close([small.predict(integers, "hm", sample_rate=16_000)], [expected])


def test_channels_are_averaged(small):
    left, right = tone(0.7, 333.0), tone(0.7, 500.0)
    expected = small.predict((left + right) / 2, "hm", sample_rate=16_000)
    assert_close([small.predict(np.stack([left, right], axis=1), "hm", sample_rate=16_000)], [expected])


def test_batches_take_samples(small):
    samples = [tone(0.5, 200.0), tone(0.9, 700.0)]
    alone = [small.predict(value, sample_rate=16_000) for value in samples]
    assert_close(small.predict_batch(samples, sample_rate=16_000), alone)


def test_samples_without_their_rate_are_an_error(small):
    with pytest.raises(InputError, match="pass sample_rate=16000"):
        small.predict(tone())


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (np.zeros(0, np.float32), "holds 0 samples"),
        (np.zeros(100, np.float32), "holds 100 samples"),
        (np.full(8000, np.nan, np.float32), "NaN"),
        (np.zeros((2, 3, 4), np.float32), "shape"),
    ],
)
def test_samples_that_are_no_recording(small, samples, complaint):
    with pytest.raises(InputError, match=complaint):
        small.predict(samples, sample_rate=16_000)


def test_missing_file_is_named(small):
    with pytest.raises(InputError, match=r"absent\.wav: no such audio file"):
        small.predict("absent.wav")


# Missing inputs


def test_missing_text_is_a_row_of_zeros(small, clips):
    features = small.features(load_audio(clips[0]))
    logits = small.network(logmel=features["logmel"][None], text=torch.zeros(1, 1, 300))
    expected = torch.softmax(logits, dim=1)[0].tolist()
    assert list(small.predict(clips[0]).probabilities.values()) == pytest.approx(expected, abs=SAME)
    assert_close([small.predict(clips[0], "")], [small.predict(clips[0])])


def test_missing_voice_is_a_row_of_zeros(small):
    text = small.text.embed("ciao a tutti")
    logits = small.network(logmel=torch.zeros(1, 1, 256), text=text[None])
    expected = torch.softmax(logits, dim=1)[0].tolist()
    assert list(small.predict(text="ciao a tutti").probabilities.values()) == pytest.approx(expected, abs=SAME)


def test_clip_too_short_for_any_feature_is_as_if_the_voice_were_missing(large, clips):
    assert_close([large.predict(clips[1], "ciao", "it")], [large.predict(text="ciao", language="it")])


@pytest.mark.parametrize("text", [None, "", "   "])
def test_nothing_given_is_an_error(small, text):
    with pytest.raises(InputError, match="this model reads audio or text: expected at least one"):
        small.predict(text=text)


def test_model_of_text_alone_needs_text(clips):
    network = lively(EmotionNetwork({"text": 300}, 4, options=NARROW))
    model = PathosNet(network, {}, TextEmbedder({"*": HashedWords(300)}))
    with pytest.raises(InputError, match="this model reads text: expected"):
        model.predict(clips[0])
    assert_close([model.predict(clips[0], "hm")], [model.predict(text="hm")])


def test_model_of_voice_alone_needs_audio(clips):
    network = lively(EmotionNetwork({"logmel": 256}, 4, options=NARROW))
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None)
    with pytest.raises(InputError, match="this model reads audio: expected"):
        model.predict(text="hm")
    assert_close([model.predict(clips[0], "hm", "xx")], [model.predict(clips[0])])


# Languages


def test_language_chooses_the_table(large, vectors):
    for code in ("en", "it"):
        features = large.features(None, "a notte the", code)
        assert torch.equal(features["text"], vectors[code].embed(["a", "notte", "the"]))


def test_without_a_language_the_table_that_knows_most_words_is_taken(large):
    assert large.predict(text="ciao a tutti") == large.predict(text="ciao a tutti", language="it")
    assert large.predict(text="the house") == large.predict(text="the house", language="en")


def test_language_codes_may_have_regions(large):
    assert large.predict(text="a notte", language="it-IT") == large.predict(text="a notte", language="it")
    assert large.predict(text="a notte", language="EN_us") == large.predict(text="a notte", language="en")


def test_language_without_a_table_is_an_error_that_lists_the_others(large):
    with pytest.raises(InputError, match=r"no word vectors for the language 'pl', only for en, it; .*--text pl="):
        large.predict(text="dom", language="pl")


def test_hashed_words_read_any_language(small):
    assert small.predict(text="dom", language="pl") == small.predict(text="dom")


# Parts that fit each other


def test_labels_must_be_as_many_as_outputs():
    network = EmotionNetwork({"logmel": 256}, 4, options=NARROW)
    with pytest.raises(ValueError, match="expected 4 labels"):
        PathosNet(network, {"logmel": LogMelExtractor()}, None, labels=("a", "b"))


@pytest.mark.parametrize("parts", [({}, None), ({"logmel": LogMelExtractor(1)}, None)])
def test_features_must_be_those_of_the_network(parts):
    with pytest.raises(InputError, match="expected features of dimensions"):
        PathosNet(EmotionNetwork({"logmel": 256}, 4, options=NARROW), *parts)


def test_models_move_between_devices(small):
    assert small.to("cpu") is small
    assert small.device == torch.device("cpu")


# The authors' own model


@pytest.mark.timeout(300)
def test_the_authors_model_gives_the_original_probabilities(oracles, tmp_path):
    reference = np.load(oracles / "end_to_end.npz")
    model = PathosNet.from_keras(
        oracles / "pathosnet_multimodal.h5",
        vggish=oracles / "vggish_authors.h5",
        ghostvlad=oracles / "ghostvlad.h5",
        vectors=oracles / "tiny.vec",
    )
    texts = {
        "speech_it_16k": "Non ci posso credere meraviglioso",
        "speech_en_16k": "I have nothing left to say to you friend please just leave me alonee",
        "speech_es_short_16k": "ya no",
    }
    files = [oracles / f"{clip}.wav" for clip in texts]
    expected = np.stack([reference[f"{clip}/probabilities"].reshape(4) for clip in texts])
    alone = numbers(*(model.predict(file, text) for file, text in zip(files, texts.values(), strict=True)))
    together = numbers(*model.predict_batch(files, list(texts.values())))
    assert np.abs(alone - expected).max() <= SAME
    assert np.abs(together - expected).max() <= SAME
    for clip, file in zip(texts, files, strict=True):
        features = model.features(load_audio(file), texts[clip])
        for name, stage in (("vggish", "vggish_softmax"), ("ghostvlad", "ghostvlad"), ("text", "text")):
            theirs = reference[f"{clip}/{stage}"]
            ours = features[name].numpy() if len(features[name]) else np.zeros_like(theirs)
            assert ours.shape == theirs.shape
            assert np.linalg.norm(ours - theirs) <= SAME * max(np.linalg.norm(theirs), 1e-30)


def test_the_authors_multimodal_model_needs_word_vectors(oracles):
    with pytest.raises(InputError, match=r"pathosnet_multimodal\.h5: reads text as well; .*vectors=FILE"):
        PathosNet.from_keras(
            oracles / "pathosnet_multimodal.h5",
            vggish=oracles / "vggish_authors.h5",
            ghostvlad=oracles / "ghostvlad.h5",
        )


def test_embeddings_are_what_the_classifier_reads(small):
    embedded = small.embed([tone(0.5), tone(0.7, 900.0)], ["hello", None], sample_rate=16_000)
    with torch.no_grad():
        shares = small.network.classifier(embedded / small.network.temperature).softmax(dim=1)
    answers = small.predict_batch([tone(0.5), tone(0.7, 900.0)], ["hello", None], sample_rate=16_000)
    assert shares.tolist() == [pytest.approx(list(one.probabilities.values()), abs=1e-5) for one in answers]
