"""What reading, training and predicting have to import."""

import subprocess
import sys

from making import make_corpus

SCRIPT = """
import sys
sys.modules["torchaudio"] = None  # importing it raises ImportError

from pathlib import Path
import numpy as np
import pathosnet
from pathosnet.audio.degradation import telephone
from pathosnet.audio.reading import load_audio
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.train import train

folder = Path(sys.argv[1])
telephone(load_audio(folder / "anger_0.wav", 16_000))
options = {"epochs": 1, "text_width": 2, "audio_width": 2, "accelerator": "cpu", "progress": False, "logger": "none"}
config = TrainConfig(augmentation=("speed", "noise", "gain", "masks"), augmented_copies=1, **options)
run = train(folder / "corpus.csv", folder / "run", config)
model = pathosnet.PathosNet.from_pretrained(folder / "run")
print(model.predict(np.random.default_rng(0).normal(0, 0.1, 44_100), sample_rate=44_100).label)
"""


def test_training_and_predicting_need_no_torchaudio(tmp_path):
    make_corpus(tmp_path, per_class=5)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().splitlines()[-1] in ("happiness", "anger", "sadness", "neutral")
