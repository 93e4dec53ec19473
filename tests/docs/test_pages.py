"""Every command and snippet of README.md and docs/ is executed, word for word, on files that stand for those it names.

Commands that train get CHEAP options besides. What is not executed here is listed in ELSEWHERE, with the reason.
"""

import os
import re
import shlex
import shutil
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from keras_files import authors_names, empty_vggish_layers, pathosnet_layers, rename, thin_resnet_layers, write_keras
from making import (
    make_corpus,
    random_vggish,
    save_weights,
    tiny_config,
    touch,
    write_iemocap,
    write_meld,
    write_tone,
    write_vectors,
)

import pathosnet
from pathosnet import cli
from pathosnet.corpora.known import IMPORTERS
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.train import train
from pathosnet.recognizer import shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRAINING = ("train", "finetune", "cross-validate", "tune")
CHEAP = ["--epochs=1", "--batch_size=8", "--accelerator=cpu", "--progress=false", "--logger=none", "--workers=0"]
SMALL = ["--text_width=4", "--audio_width=4", "--vggish_output=pool"]
CHEAP_FOR = {
    "train": SMALL,
    "finetune": [],
    "cross-validate": [*SMALL, "--num_folds=2"],
    "tune": [*SMALL, "--trials=1"],
}
ELSEWHERE = {
    "pathosnet baseline": "tests/experiments/test_baseline.py, with made features",
    "pathosnet cross-validate emovo.csv --preset speech": "tests/experiments/test_presets.py; it needs Whisper-base",
    "pathosnet train cremad.csv": "tests/experiments/test_presets.py and test_soft_labels.py; it needs Whisper-base",
    "pathosnet train corpus.csv --preset speech --unlock": "tests/experiments/test_unlocked_encoders.py; the same",
    "pip install": "installed by .ci/run; the names of extras are checked here",
    "pytest": ".ci/run runs it",
    "pathosnet demo": "tests/experiments/test_demo.py",
    "torchrun": "tests/training/test_ddp.py starts it",
    "srun": "tests/training/test_ddp.py makes the environment of its tasks",
    "sbatch": "tests/experiments/test_cross_validation.py makes the environment of its tasks",
    "pathosnet app": "tests/app/test_page.py starts it",
    "arecord": "tests/cli/test_listen_command.py makes a pipe",
    "ffmpeg": "tests/cli/test_listen_command.py makes a pipe",
    "pathosnet listen --window-seconds": "it needs a microphone; tests/audio/test_live_sound.py has one that is made",
    "pathosnet train corpus.csv --out runs/ddp": "tests/training/test_ddp.py: it starts processes",
    "pathosnet transcribe emofilm.csv --out emofilm-asr.csv --recognizer hf:": "tests/corpora/test_speech_to_text.py",
}
OTHER_TESTS = {
    "sharing.md": "tests/docs/test_sharing_pages.py",
    "weights.md": "tests/docs/test_sharing_pages.py",
    "text-features.md": "tests/docs/test_feature_pages.py",
    "own-features.md": "tests/docs/test_feature_pages.py",
    "default-models.md": "tests/recognizer/test_default_models_page.py",
}
MANIFESTS = ("iemocap", "emofilm", "ses", "aesi", "emovo", "ravdess", "nemo")


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)


def commands_of(text: str) -> list[str]:
    """The commands of a block; lines that are continued are joined, comments go."""
    lines = text.replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in shlex.join(shlex.split(line, comments=True)).split(" '&&' ")]
    return [part for part in parts if part]


def elsewhere(command: str) -> str | None:
    """Why a command is not executed here."""
    return next((reason for beginning, reason in ELSEWHERE.items() if command.startswith(beginning)), None)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Everything that the pages name, small or random."""
    place = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    ratings = {name: lambda number, _: 1 + number * 7 % 11 / 2 for name in ("valence", "activation", "dominance")}
    make_corpus(place, per_class=6, seconds=(1.0, 1.2), language="en", session=lambda n, _: f"s{n % 5}", **ratings)
    (place / "clips").mkdir()
    for number, emotion in ((1, "happiness"), (2, "anger")):
        shutil.copy(place / f"{emotion}_0.wav", place / "clips" / f"{number:03}.wav")
    shutil.copy(place / "anger_0.wav", place / "clip.wav")
    (place / "train.txt").write_text("ann_anger_1.wav\nbob_anger_1.wav\n")
    (place / "test.txt").write_text("eve_anger_1.wav\n")
    write_tone(place / "interview.wav", 2.0)
    (place / "interview.rttm").write_text("SPEAKER interview 1 0.2 1.5 <NA> <NA> anna <NA> <NA>\n")
    (place / "interview.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.500\n<v Anna>a wonderful day\n")
    (place / "interview.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\na wonderful day\n")
    save_weights(place / "vggish-10086976.pth", random_vggish("relu"))
    write_keras(place / "weights.h5", thin_resnet_layers(rng))
    write_keras(place / "vggish.h5", rename(empty_vggish_layers(), authors_names()))
    shutil.copy(place / "weights.h5", place / "ghostvlad.h5")
    write_keras(place / "pathosnet_spanish.h5", pathosnet_layers(rng))
    for language in ("en", "it", "pl", "es", "el"):
        write_vectors(place / f"wiki.multi.{language}.vec", ["unknown", "wonderful", "day", "the"])
    shutil.copy(place / "wiki.multi.en.vec", place / "glove.6B.300d.txt")
    write_iemocap(place / "IEMOCAP_full_release")
    touch(place / "EmoFilm" / "wav_corpus", "f_gio001ait.wav", "m_ans123bes.wav")
    touch(place / "AESI", "s1_anger_1.wav", "s2_sadness_1.wav")
    (place / "MELD").mkdir()
    write_meld(place / "MELD")
    recognizer = place / "bin" / "my-recognizer"
    recognizer.parent.mkdir()
    recognizer.write_text("#!/bin/sh\necho some words\n")
    recognizer.chmod(0o755)
    for name in MANIFESTS:
        shutil.copy(place / "corpus.csv", place / f"{name}.csv")
    train(place / "corpus.csv", place / "runs" / "base", tiny_config())
    other = tiny_config(num_folds=2, split="speaker", epochs=1)
    cross_validate([place / "corpus.csv"], place / "runs" / "other", other, seeds=(0, 1, 2))
    shutil.copytree(place / "runs" / "base", place / "runs" / "mine")
    shutil.copytree(place / "runs" / "base", place / "runs" / "dropout")
    return place


def run_command(command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "python":
        script = ROOT / arguments[0]
        assert script.is_file(), command
        return
    assert program == "pathosnet", command
    if "--out" in arguments:  # of an earlier block
        out = Path(arguments[arguments.index("--out") + 1])
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    if arguments[0] in TRAINING:
        arguments += CHEAP + CHEAP_FOR[arguments[0]]
    cli.main(arguments)
    if arguments[:2] == ["corpora", "import"] and arguments[2] != "meld":  # the recordings are none
        shutil.copy("corpus.csv", out)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning's own, of a Trainer made by hand
@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OTHER_TESTS], ids=lambda page: page.name)
def test_everything_that_a_page_says_works(page, files, tmp_path, monkeypatch, capsys):
    place = tmp_path / "place"
    shutil.copytree(files, place, copy_function=os.link)
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATH", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(shipped, "FOLDER", place / "runs")  # base is a run there; the real one needs its encoder
    monkeypatch.setattr("pathosnet.recognizer.recognizer.choose_default", lambda: ("base", "model: base"))
    for language, text in blocks_of(page):
        if language == "sh":
            for command in commands_of(text):
                if elsewhere(command) is None:
                    run_command(command)
        elif language == "python":
            exec(compile(text, f"{page.name}: {text[:40]!r}", "exec"), {"waveform": torch.randn(16_000) / 10})
        else:
            assert language in ("csv", "text", "json", "yaml"), f"{page.name}: a block of {language or 'no'} language"


def test_every_reason_is_used():
    commands = [
        command
        for page in PAGES
        for language, text in blocks_of(page)
        if language == "sh"
        for command in commands_of(text)
    ]
    unused = [beginning for beginning in ELSEWHERE if not any(command.startswith(beginning) for command in commands)]
    assert unused == []


def test_extras_exist():
    extras = metadata("pathosnet").get_all("Provides-Extra")
    named = {
        name
        for page in PAGES
        for found in re.findall(r"pathosnet\[([\w,]+)\]", page.read_text())
        for name in found.split(",")
    }
    named |= {name for page in PAGES for name in re.findall(r"pip install '\.\[(\w+)\]'", page.read_text())}
    assert named
    assert named <= set(extras)


def test_every_page_is_in_the_navigation():
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w-]+\.md", str(yaml.safe_load(text)["nav"])))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_links_between_files_lead_somewhere():
    for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "benchmarks" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_known_corpora_are_those_that_can_be_imported():
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", (ROOT / "docs" / "corpora.md").read_text(), re.M)
    known = [(one.name, one.title, ", ".join(one.languages) or "any") for one in IMPORTERS.values()]
    untried = " *"  # marks a layout that nobody here could see
    rows = [(name, title.removesuffix(untried), languages) for name, title, languages in listed]
    assert [row for row in rows if row[0] in IMPORTERS] == known


def test_citation_names_paper_and_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == pathosnet.__version__
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Scotti", "Galati", "Sbattella", "Tedesco"]
    assert paper["doi"] == "10.1007/978-3-030-68790-8_10"
