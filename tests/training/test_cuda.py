"""What a CUDA device computes: training in mixed precision, and the CPU's answers. One command: pytest -m cuda -n 0."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from making import make_corpus, random_thin_resnet34, random_vggish, read_rows, save_weights, tiny_config, tone
from speech_encoders import SHAPE, whisper_folder

from pathosnet import PathosNet
from pathosnet.corpora import read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.train import train
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.features.extract import extract_all
from pathosnet.prediction.timeline import predict_timeline

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
WAVES = [tone(seconds, hertz) for seconds, hertz in ((0.5, 300.0), (1.3, 800.0), (0.9, 150.0), (2.2, 440.0))]
TEXTS = ["all is lost", "", "go away now please", "the door"]
PRECISIONS = ["32-true", "16-mixed", "bf16-mixed"]
GPU = {"accelerator": "gpu", "devices": "1"}


@pytest.fixture
def _full_float32():
    """Without TF32, so that the two devices compute the same."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_float32_matmul_precision(before)


def probabilities(model: PathosNet) -> np.ndarray:
    predictions = model.predict_batch(WAVES, TEXTS, sample_rate=16_000)
    return np.array([list(prediction.probabilities.values()) for prediction in predictions])


@pytest.mark.usefixtures("_full_float32")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_on_a_gpu_gives_a_model_that_predicts_the_same_on_both_devices(tmp_path, precision):
    corpus = make_corpus(tmp_path / "corpus", per_class=8, seconds=(0.5, 1.3))
    config = tiny_config(
        acoustic="logmel,vggish,ghostvlad",
        vggish=str(save_weights(tmp_path / "vggish.safetensors", random_vggish())),
        vggish_output="pool",
        ghostvlad=str(save_weights(tmp_path / "resnet.safetensors", random_thin_resnet34())),
        standardize=False,  # random backbones differ between tones by little more than rounding errors
        precision=precision,
        **GPU,
    )
    run = train(corpus, tmp_path / "run", config)
    model = PathosNet.from_pretrained(run.folder)
    state = [*model.network.state_dict().values(), *model.acoustic.state_dict().values()]
    assert all(torch.isfinite(value).all() for value in state)
    assert all(value.dtype in (torch.float32, torch.int64) for value in state)
    assert read_rows(run.folder / "predictions.csv")

    on_cpu = probabilities(model)
    assert model.to("cuda").device.type == "cuda"
    on_gpu = probabilities(model)
    assert np.abs(on_gpu - on_cpu).max() <= 1e-4
    alone = [model.predict(wave, text, sample_rate=16_000) for wave, text in zip(WAVES, TEXTS, strict=True)]
    assert np.abs(np.array([list(p.probabilities.values()) for p in alone]) - on_gpu).max() <= 1e-5


@pytest.mark.usefixtures("_full_float32")
@pytest.mark.parametrize("part", ["features", "frozen"])
def test_features_from_a_gpu_are_those_of_the_cpu(tmp_path, part):
    corpus = read_manifest(make_corpus(tmp_path, per_class=2, seconds=(0.9, 2.0)), PAPER_EMOTIONS)
    extractors = {"vggish": VGGishExtractor(random_vggish()), "ghostvlad": GhostVLADExtractor(random_thin_resnet34())}
    here, there = (
        extract_all(corpus.utterances, extractors, part, progress=False, device=torch.device(name))
        for name in ("cpu", "cuda")
    )
    assert all(value.device.type == "cpu" for e in extractors.values() for value in e.state_dict().values())
    for name in extractors:
        for ours, theirs in zip(here[name], there[name], strict=True):
            assert theirs.device.type == "cpu"
            assert ours.shape == theirs.shape
            if len(ours):
                assert float((ours - theirs).norm() / ours.norm()) <= 1e-4


@pytest.mark.usefixtures("_full_float32")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_top_layers_of_a_speech_encoder_learn_on_a_gpu(tmp_path, precision):
    corpus = make_corpus(tmp_path / "corpus", per_class=8, seconds=(0.5, 1.3))
    encoder = whisper_folder(tmp_path / "whisper")
    config = tiny_config(
        acoustic=f"hf:{encoder}",
        encoder_layers="1,2,3",
        encoder_rate=0.0,
        network="linear",
        text="none",
        unlock=2,
        encoder_learning_rate=1e-3,
        precision=precision,
        **GPU,
    )
    run = train(corpus, tmp_path / "run", config)
    model = PathosNet.from_pretrained(run.folder)
    (extractor,) = model.extractors.values()
    untrained = make_encoder_extractor(f"hf:{encoder}", layers="1,2,3", rate=0.0)
    waveform = torch.from_numpy(WAVES[1])
    assert (extractor.extract([waveform])[0] - untrained.extract([waveform])[0]).norm() > 1e-4  # they learned
    on_cpu = probabilities(model)
    assert np.isfinite(on_cpu).all()
    assert np.abs(probabilities(model.to("cuda")) - on_cpu).max() <= 1e-4


@pytest.mark.usefixtures("_full_float32")
def test_a_speech_encoder_computes_the_same_on_a_gpu(tmp_path):
    shape = replace(SHAPE, dim=64, num_layers=4, num_heads=4, hidden_dim=128)
    extractor = make_encoder_extractor(
        f"hf:{whisper_folder(tmp_path / 'whisper', shape=shape)}", layers="1-4", rate=0.0
    )
    clips = [torch.from_numpy(wave) for wave in (*WAVES, tone(31.0))]
    expected = extractor.extract(clips)
    extractor.to("cuda")
    found = extractor.extract([clip.to("cuda") for clip in clips])
    alone = [extractor.extract([clip.to("cuda")])[0] for clip in clips]
    for one, single, other in zip(found, alone, expected, strict=True):
        assert float((one.cpu() - other).norm() / other.norm()) <= 1e-4
        assert float((one - single).norm() / single.norm()) <= 1e-5


@pytest.mark.usefixtures("_full_float32")
def test_the_small_model_answers_the_same_on_a_gpu_for_files_timelines_streams_and_profiles(tmp_path):
    rng = np.random.default_rng(0)
    speech = tone(6.0, 180.0) + 0.02 * rng.standard_normal(96_000).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", speech, 16_000)
    waves = np.split(speech, 4)
    model = PathosNet.from_pretrained("small")

    def answers() -> np.ndarray:
        profile = model.profile([(16_000, wave) for wave in waves[:2]])
        found = [model.predict(tmp_path / "talk.wav"), model.predict(tmp_path / "talk.wav", profile=profile)]
        found += model.predict_batch(waves, sample_rate=16_000)
        found += [segment.prediction for segment in predict_timeline(model, tmp_path / "talk.wav")]
        found += [segment.prediction for segment in model.stream(16_000).of(waves)]
        return np.array([list(one.probabilities.values()) for one in found])

    on_cpu = answers()
    model.to("cuda")
    assert np.abs(answers() - on_cpu).max() <= 1e-4


def test_folds_and_fine_tuning_run_on_a_gpu(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", per_class=8, num_speakers=4)
    config = tiny_config(acoustic="logmel", num_folds=2, precision="16-mixed", **GPU)
    cross_validate(corpus, tmp_path / "folds", config)
    assert len(read_rows(tmp_path / "folds" / "predictions.csv")) == 32
    run = train(corpus, tmp_path / "run", config)
    tuned = finetune(run.folder, corpus, tmp_path / "tuned", config=config)
    assert np.isfinite(probabilities(PathosNet.from_pretrained(tuned.folder).to("cuda"))).all()


def test_processes_joined_by_nccl_train(tmp_path):
    """As many as there are devices, at most two."""
    corpus = make_corpus(tmp_path / "corpus", per_class=8)
    devices = min(2, torch.cuda.device_count())
    options = ["--epochs=2", "--audio-width=4", "--text-width=4", "--batch-size=8", "--progress=false", "--logger=none"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    arguments = ["train", str(corpus), f"--out={tmp_path / 'run'}", "--acoustic=logmel", *options]
    done = subprocess.run(
        [*command, "-m", "pathosnet", *arguments, "--accelerator=gpu", f"--devices={devices}", "--strategy=ddp"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MASTER_ADDR": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    assert read_rows(tmp_path / "run" / "predictions.csv")


def test_commands_take_a_gpu(tmp_path):
    soundfile.write(tmp_path / "clip.wav", WAVES[3], 16_000)
    answers = []
    for device in ("cpu", "cuda"):
        command = [sys.executable, "-m", "pathosnet", "predict", "small", str(tmp_path / "clip.wav"), "--json"]
        done = subprocess.run([*command, f"--device={device}"], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert answers[1]["probabilities"] == pytest.approx(answers[0]["probabilities"], abs=1e-4)
