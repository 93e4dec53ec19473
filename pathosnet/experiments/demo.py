"""``pathosnet demo``: the whole way from a corpus to a prediction, on synthetic speech that comes with the package."""

from pathlib import Path

from pathosnet.corpora import Corpus, read_manifest
from pathosnet.corpora.demo_corpus import demo_manifest
from pathosnet.errors import InputError
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.run_folder import RUN_FILE
from pathosnet.experiments.train import train
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
from pathosnet.features.acoustic.encoders.opening import is_fetched
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.recognizer.shipped import ENCODER_OF_BASE

TEST = "test"
DEMO_CONFIG = TrainConfig(modality_dropout=0.2)


def run_demo(out: Path, overwrite: bool = False) -> None:
    """Trains on the demo corpus, tests on voices that were held out, saves the model, and predicts a clip.

    Args:
        out: folder to write.
        overwrite: replace an earlier run there.

    Raises:
        InputError: ``out`` exists and may not be replaced, or is no run.
    """
    if out.exists() and not (out / RUN_FILE).is_file():
        raise InputError(f"{out}: exists and is no earlier run; choose another folder with --out")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; choose another folder with --out, or replace it with --overwrite")
    manifest = demo_manifest()
    corpus = read_manifest(manifest, DEMO_CONFIG.labels)
    languages = sorted({utterance.language for utterance in corpus.utterances})
    voices = {utterance.speaker for utterance in corpus.utterances}
    _show_shipped_model(corpus)
    print(f"Training on {manifest}:")
    print(f"{len(corpus)} clips of synthetic speech, {len(voices)} voices, languages {', '.join(languages)}.\n")
    run = train(manifest, out, DEMO_CONFIG, overwrite=overwrite)
    assert run.metrics is not None

    print(f"Voices that the training never heard: {run.metrics.summary()}")
    print("The speech is synthetic: the figures show that everything works, not how well it does on people.\n")
    clip = corpus.utterances[run.split.test[0]]
    model = PathosNet.from_pretrained(out)
    prediction = model.predict(clip.audio, text=clip.text, language=clip.language)
    print(f"One of them ({clip.language}, {clip.emotion}): “{clip.text}”")
    print(f"  → {_shown(prediction)}\n")
    print(f"Model, metrics and confusion matrix: {out}/ (look at {out / 'confusion_matrix.png'})\n")
    print(
        "The same on your own recordings, listed in a CSV with the columns audio, text, emotion:\n\n"
        "  pathosnet train corpus.csv --out runs/mine\n"
        "  pathosnet predict runs/mine recording.wav --text 'what is said'\n\n"
        "or in Python:\n\n"
        "  from pathosnet import PathosNet, train\n\n"
        '  train("corpus.csv", out="runs/mine")\n'
        '  model = PathosNet.from_pretrained("runs/mine")\n'
        '  print(model.predict("recording.wav", text="what is said"))'
    )


def _show_shipped_model(corpus: Corpus) -> None:
    """Asks the model that comes with the package about the voices that are held out, which it never heard, either."""
    tested = [utterance for utterance in corpus.utterances if utterance.split == TEST]
    name = "base" if is_fetched(KNOWN_ENCODERS[ENCODER_OF_BASE]) else "small"  # a demo fetches nothing
    answers = PathosNet.from_pretrained(name).predict_batch([utterance.audio for utterance in tested])
    right = sum(answer.label == utterance.emotion for answer, utterance in zip(answers, tested, strict=True))
    clip, language = tested[0], tested[0].language
    print(f"The model {name}, which comes with the package, on a clip of the demo ({language}, by voice alone):")
    print(f"  pathosnet predict {name} {clip.audio}")
    print(f"  → {_shown(answers[0])}; that is {clip.emotion}")
    print(f"It is right on {right / len(tested):.0%} of {len(tested)} clips of synthetic speech, which it never heard;")
    print("its card says how often it is right on people.\n")


def _shown(prediction: Prediction) -> str:
    values = ", ".join(f"{label} {value:.2f}" for label, value in prediction.probabilities.items())
    return f"{prediction.label} ({values})"
