import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from making import make_corpus, random_thin_resnet34, random_vggish, read_rows, tiny_config, write_manifest

from pathosnet.audio.read_ahead import suitable_workers
from pathosnet.audio.reading import load_audio
from pathosnet.corpora import Corpus, read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.prepare import build_extractors
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
    extract_together,
)
from pathosnet.features.extract import extract, extract_features, hidden_features


@pytest.fixture(scope="module")
def extractors() -> dict[str, AcousticExtractor]:
    return {
        "logmel": LogMelExtractor(),
        "vggish": VGGishExtractor(random_vggish()),
        "ghostvlad": GhostVLADExtractor(random_thin_resnet34(), silence_removal=False),
    }


@pytest.fixture(scope="module")
def corpus_path(tmp_path_factory) -> Path:
    """Clips of which some have no example of VGGish."""
    return make_corpus(tmp_path_factory.mktemp("corpus"), per_class=2, seconds=(0.3, 2.2))


@pytest.fixture(scope="module")
def corpus(corpus_path) -> Corpus:
    return read_manifest(corpus_path, PAPER_EMOTIONS)


def noise(*seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(round(s * 16_000), generator=generator) for s in seconds]


def relative_error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(corpus, workers):
    extractors = {"logmel": LogMelExtractor()}
    here = list(extract(corpus.utterances, extractors, workers=0, progress=False))
    there = list(extract(corpus.utterances, extractors, workers=workers, progress=False))
    assert [i for i, _ in there] == list(range(len(corpus)))
    for (_, ours), (_, theirs) in zip(here, there, strict=True):
        assert torch.equal(ours["logmel"], theirs["logmel"])


@pytest.mark.parametrize("part", ["features", "frozen"])
@pytest.mark.parametrize("name", ["logmel", "vggish", "ghostvlad"])
def test_recordings_together_are_as_one_by_one(extractors, name, part, monkeypatch):
    if part == "frozen" and name == "logmel":
        return
    monkeypatch.setattr("pathosnet.features.acoustic.extractors.base.WINDOWS_AT_ONCE", 5)  # fits no recording
    waveforms = noise(1.0, 0.05, 2.9, 0.4, 2.0)
    together = extractors[name].extract(waveforms, part)
    for waveform, ours in zip(waveforms, together, strict=True):
        (alone,) = extractors[name].extract([waveform], part)
        assert ours.shape == alone.shape
        assert torch.allclose(ours, alone, rtol=1e-6, atol=1e-6 * float(alone.abs().max()) if len(alone) else 0)


def test_features_own_their_memory(extractors):
    for features in extractors["vggish"].extract(noise(1.0, 2.0)):
        assert features.untyped_storage().nbytes() == 4 * features.numel()


@pytest.mark.parametrize("samples", [1, 16_000, 10**9])
def test_the_size_of_a_group_changes_nothing(monkeypatch, samples):
    waveforms = noise(0.5, 1.5, 0.7)
    extractors = {"logmel": LogMelExtractor(2)}
    monkeypatch.setattr("pathosnet.features.acoustic.extractors.base.SAMPLES_TOGETHER", samples)
    found = list(extract_together(iter(waveforms), extractors))
    assert [f["logmel"].shape[0] for f in found] == [24, 74, 34]
    for waveform, features in zip(waveforms, found, strict=True):
        assert torch.equal(features["logmel"], extractors["logmel"](waveform))


def test_long_recordings_are_not_waited_for_together():
    read = []

    def waveforms():
        for waveform in noise(40, 40, 1):
            read.append(len(waveform))
            yield waveform

    found = extract_together(waveforms(), {"logmel": LogMelExtractor()})
    next(found)
    assert len(read) == 2, "a minute is full after two of 40 s"


def test_table_and_hidden_features_are_the_extractors(corpus, extractors):
    table = extract_features(corpus, extractors, None, progress=False, positions=[3, 0])
    hidden = hidden_features(corpus, extractors["ghostvlad"], progress=False)
    assert len(hidden) == len(corpus)
    waveforms = [load_audio(corpus.utterances[i].audio) for i in (3, 0)]
    for name, extractor in extractors.items():
        for ours, waveform in zip(table.sequences[name], waveforms, strict=True):
            assert relative_error(ours, extractor(waveform)) < 1e-6 if len(ours) else len(extractor(waveform)) == 0
    assert relative_error(hidden[3], extractors["ghostvlad"].frozen_part(waveforms[0])) < 1e-6


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_recording_is_named_by_file_and_row(corpus_path, tmp_path, workers):
    rows = read_rows(corpus_path)
    for row in rows:
        row["audio"] = str(corpus_path.parent / row["audio"])
    (tmp_path / "bad.wav").write_bytes(b"no audio at all")
    rows[4]["audio"] = "bad.wav"
    corpus = read_manifest(write_manifest(tmp_path / "corpus.csv", rows), PAPER_EMOTIONS)
    with pytest.raises(InputError) as caught:
        list(extract(corpus.utterances, {"logmel": LogMelExtractor()}, workers=workers, progress=False))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'corpus.csv'}, row 6: {tmp_path / 'bad.wav'}: cannot be read as audio")
    assert "\n" not in message


def test_processes_read_only_where_there_is_much_to_read(corpus, monkeypatch):
    assert suitable_workers(corpus.utterances) == 0
    monkeypatch.setattr("pathosnet.audio.read_ahead.FEW_BYTES", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert suitable_workers(corpus.utterances) == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(96)))
    assert suitable_workers(corpus.utterances) == 8
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert suitable_workers(corpus.utterances) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    monkeypatch.setattr("sys.platform", "darwin")
    assert suitable_workers(corpus.utterances) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to list processes")
def test_ctrl_c_ends_the_workers_as_well(corpus_path):
    code = (
        "import sys, time\n"
        "from pathosnet.corpora import read_manifest\n"
        "from pathosnet.features.extract import extract\n"
        "from pathosnet.features.acoustic.extractors import LogMelExtractor\n"
        "corpus = read_manifest(sys.argv[1], ('corpus',))\n"
        "for i, _ in extract(corpus.utterances * 10_000, {'logmel': LogMelExtractor()}, workers=2, progress=False):\n"
        "    print(i, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(corpus_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which what runs in the background ignores
    )
    assert process.stdout.readline() == "0\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + 20
    while any(_runs(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_runs(child) for child in children)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_bf16_is_within_its_error(extractors):
    (waveform,) = noise(1.0)
    for name in ("vggish", "ghostvlad"):
        exact = extractors[name]
        config = exact.config()
        make = {"vggish": random_vggish, "ghostvlad": random_thin_resnet34}[name]
        options = {key: value for key, value in config.items() if key not in ("output", "normalize", "precision")}
        reduced = type(exact)(make(), precision="bf16", **options)
        features, hidden = reduced(waveform), reduced.frozen_part(waveform)
        assert features.dtype == hidden.dtype == torch.float32
        assert 1e-5 < relative_error(features, exact(waveform)) < 0.02
        assert 1e-5 < relative_error(hidden, exact.frozen_part(waveform)) < 0.02


def test_precision_is_an_option(tmp_path):
    weights = tmp_path / "vggish.pth"
    torch.save(random_vggish().state_dict(), weights)
    options = {"acoustic": "vggish", "vggish": str(weights), "vggish_output": "pool"}
    assert build_extractors(tiny_config(**options))["vggish"].config()["precision"] == "32"
    reduced = build_extractors(tiny_config(**options, extraction_precision="bf16"))["vggish"]
    assert reduced.config() == {"output": "pool", "precision": "bf16", "level": "rms"}
    with pytest.raises(ValueError, match="precision: expected 32 or bf16, got 'fp8'"):
        VGGishExtractor(random_vggish(), "fp8")
    with pytest.raises(InputError, match="extraction_precision: expected 32 or bf16, got '16'"):
        tiny_config(extraction_precision="16")


def test_workers_are_not_negative():
    with pytest.raises(InputError, match="workers: expected 0 or more, or none for as many as suit, got -1"):
        tiny_config(workers=-1)
