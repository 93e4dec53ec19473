"""docs/default-models.md works, on a tiny encoder; it and the card of base agree with the model and with each other."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from making import TINY, make_corpus
from speech_encoders import whisper_folder

from pathosnet import PathosNet, cli
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.features.profile import SHRINKAGE, ProfileCalibration
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.recognizer import shipped

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "default-models.md"
CARD = shipped.FOLDER / "base" / "README.md"
CONFIG = json.loads((shipped.FOLDER / "base" / "config.json").read_text())
CHEAP = [f"--{name}={TINY[name]}" for name in ("epochs", "batch_size", "accelerator", "progress", "logger")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with all that the page names, and a tiny encoder and model in the places of the real ones."""
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    whisper_folder(tmp_path / "cache" / "weights" / "whisper-base")
    extractor = make_encoder_extractor("whisper-base", layers="1,2", rate=0.0)
    options = BranchOptions(audio_width=4, network="mlp", pooling="mean", standardize=True)
    network = EmotionNetwork({"whisper-base": extractor.feature_dim}, 4, options=options)
    (tmp_path / "shipped").mkdir()
    PathosNet(network, {"whisper-base": extractor}, None).save_pretrained(tmp_path / "shipped" / "base")
    shutil.copytree(shipped.FOLDER / "small", tmp_path / "shipped" / "small")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    corpus = make_corpus(tmp_path / "work", per_class=5, seconds=(1.0, 1.1))
    shutil.copy(corpus, corpus.parent / "clips.csv")
    for name, copy in (("anger_0", "clip"), ("anger_1", "other"), ("neutral_0", "interview")):
        shutil.copy(corpus.parent / f"{name}.wav", corpus.parent / f"{copy}.wav")
    monkeypatch.chdir(corpus.parent)
    return corpus.parent


def test_everything_that_the_page_says_works(place, capsys):
    names: dict = {}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M):
        if language == "python":
            exec(text, names)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            if program == "python":
                assert (ROOT / arguments[0]).is_file()
            elif arguments[0] != "weights":  # tests/cli/test_weights_command.py: the encoder has to be the real one
                Path("answers.csv").unlink(missing_ok=True)
                cli.main(arguments + (CHEAP if arguments[0] == "finetune" else []))


def flat(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8").split())


def test_the_card_agrees_with_the_model():
    card = flat(CARD)
    acoustic = CONFIG["acoustic"]["whisper-base"]
    assert f"tells four emotions in a voice apart: {', '.join(CONFIG['labels'])}." in card
    known = KNOWN_ENCODERS["whisper-base"]
    assert (acoustic["encoder"], acoustic["revision"], acoustic["sha256"]) == (known.name, known.revision, known.sha256)
    assert f"`{known.repository}`, revision `{known.revision}`, {known.size} MB" in card
    assert f"hidden states {acoustic['layers'].replace(',', ', ')} the means" in card
    assert f"({acoustic['feature_dim']:,} numbers)" in card
    assert (acoustic["rate"], acoustic["level"]) == (0.0, "peak")
    options = CONFIG["network"]["options"]
    assert (options["network"], options["pooling"], options["standardize"]) == ("mlp", "mean", True)
    assert f"one hidden layer of {options['audio_width']} units" in card
    size = (shipped.FOLDER / "base" / "model.safetensors").stat().st_size
    assert f"half-precision weights, {size / 1e6:.1f} MB" in card
    (corpus,) = CONFIG["facts"]["corpora"]
    assert f"the {corpus['utterances']:,} clips" in card
    assert sum(corpus["counts"].values()) == corpus["utterances"]
    assert corpus["licence"] in card


def test_the_card_agrees_with_the_calibration():
    card, alone = flat(CARD), CONFIG["calibration_temperature"]
    known = ProfileCalibration(**CONFIG["profile_calibration"])
    span = round(alone - known.temperature, 3)
    assert (
        f"divided by {known.temperature} + {span} / (1 + n / {known.recordings}): {alone} for a recording alone" in card
    )
    assert f"{known.temperature_of(alone, 10):.2f} with a profile of ten" in card
    assert f"n / (n + {SHRINKAGE:.0f})" in card


def table_of(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| recordings in the profile"))
    rows = [re.sub(r" \([^)]*\)", "", line).split("|")[1:-1] for line in lines[start : start + 9]]
    return [[cell.strip() for cell in row] for row in rows]


def test_card_and_page_have_the_same_figures():
    assert table_of(CARD) == table_of(PAGE)
    assert [row[0] for row in table_of(CARD)[2:]] == ["0", "1", "3", "5", "10", "20", "all"]
