import re
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from making import PITCH, make_corpus, tiny_config, write_tone

from pathosnet import PathosNet
from pathosnet.corpora.splits import describe_leak
from pathosnet.experiments.train import train
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.recognizer.card import THIS_FOLDER, CorpusFacts, Facts, write_card
from pathosnet.targets import ClassTarget
from pathosnet.weights.catalogue import CATALOGUE

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained on two corpora, one of which has an importer that knows its licence."""
    folder = tmp_path_factory.mktemp("card")
    columns = {"language": lambda row, emotion: "pl" if row % 2 else "it"}
    names = {"corpus": lambda row, emotion: "nemo" if row % 2 else "mine"}
    return train(make_corpus(folder / "corpus", **columns, **names), folder / "run", tiny_config(seed=3))


def card_of(folder: Path) -> tuple[dict, str]:
    """The header and the text."""
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(header), text


def row_of(text: str, first: str) -> list[str]:
    """The cells of the table row that begins so."""
    (line,) = re.findall(rf"^\| {first} \|.*$", text, re.M)
    return [cell.strip() for cell in line.strip("|").split("|")]


def sections_of(text: str) -> list[str]:
    return re.findall(r"^## (.*)$", text, re.M)


def test_header_is_what_a_hub_reads(run):
    header, _ = card_of(run.folder)
    assert header["language"] == ["it", "pl"]
    assert header["license"] == "other"
    assert header["library_name"] == "pathosnet"
    assert "multimodal" in header["tags"]
    assert header["metrics"] == ["accuracy", "recall", "f1"]


def test_data_are_counted_by_corpus_with_their_licences(run):
    _, text = card_of(run.folder)
    assert row_of(text, "nemo")[:6] == ["nemo", "pl", "4", "4", "4", "4"]
    assert row_of(text, "nemo")[-1] == "CC BY-NC-SA 4.0"
    assert row_of(text, "mine")[1:7] == ["it", "4", "4", "4", "4", "16"]
    assert row_of(text, "mine")[-2:] == ["not recorded", "not recorded"]


def test_test_is_described_with_its_leak(run):
    _, text = card_of(run.folder)
    assert row_of(text, "accuracy") == ["accuracy", f"{run.metrics.accuracy:.3f}"]
    assert row_of(text, "unweighted average recall")[1] == f"{run.metrics.uar:.3f}"
    assert row_of(text, "recall of anger")[1] == f"{run.metrics.recalls['anger']:.3f}"
    parts = {name: len(part) for name, part in run.split.parts().items()}
    shown = ", ".join(f"{name} {size}" for name, size in parts.items())
    assert f"Split: {run.split.strategy} ({shown})" in text
    assert f"Seen in training: {describe_leak(run.leak)}." in text
    assert "Seed: 3." in text


def test_use_limits_and_law_are_named(run):
    _, text = card_of(run.folder)
    assert sections_of(text) == [
        *("How to use it", "What it was trained on", "How it was tested", "What is in it"),
        *("Intended use", "Limits", "Licence"),
    ]
    assert "acted" in text
    assert "workplace and in education" in text


def test_card_tells_nobody_where_the_files_were(run):
    for name in ("README.md", "config.json"):
        assert str(run.folder.parent) not in (run.folder / name).read_text(encoding="utf-8")


def test_snippet_works(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "clip.wav")
    _, text = card_of(run.folder)
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert THIS_FOLDER in snippet
    exec(snippet.replace(THIS_FOLDER, str(run.folder)), {})
    assert capsys.readouterr().out.split()[0] in PITCH


def test_facts_stay_with_the_model(run, tmp_path):
    """Through saving and loading, twice."""
    model = PathosNet.from_pretrained(run.folder)
    assert asdict(model.facts) == asdict(run.model.facts)
    model.save_pretrained(tmp_path / "again")
    PathosNet.from_pretrained(tmp_path / "again").save_pretrained(tmp_path / "and again")
    original = (run.folder / "README.md").read_bytes()
    assert (tmp_path / "and again" / "README.md").read_bytes() == original


def test_run_without_a_test_part_says_so(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", split=lambda row, emotion: "train" if row % 4 else "validation")
    train(corpus, tmp_path / "run", tiny_config())
    _, text = card_of(tmp_path / "run")
    assert "Results: not recorded." in text


def voice() -> PathosNet:
    return PathosNet(EmotionNetwork({"logmel": 64}, 4, options=NARROW), {"logmel": LogMelExtractor(1)}, None)


def text_alone() -> PathosNet:
    return PathosNet(EmotionNetwork({"text": 8}, 4, options=NARROW), {}, TextEmbedder({"*": HashedWords(8)}))


@pytest.mark.parametrize(
    ("make", "reads", "call"),
    [
        (voice, "It reads recordings of speech.", 'model.predict("clip.wav")'),
        (text_alone, "It reads transcripts.", 'model.predict(text="what is said")'),
    ],
)
def test_what_is_not_known_is_said_to_be_unknown(make, reads, call, tmp_path):
    make().save_pretrained(tmp_path / "model", model_card_kwargs={"license": "cc-by-4.0", "name": "anna/x"})
    header, text = card_of(tmp_path / "model")
    assert "language" not in header
    assert header["license"] == "cc-by-4.0"
    assert reads in text
    assert call in text
    assert "# anna/x" in text
    assert text.count("not recorded") >= 3
    assert "Of these weights: cc-by-4.0." in text


def test_known_files_are_named_with_their_licences(tmp_path):
    facts = Facts(vectors=("muse-it", "wiki.multi.en.vec", "mine.vec"))
    write_card(
        tmp_path, ClassTarget(("a", "b")), {"vggish": "vggish-10086976.pth", "logmel": ""}, reads_text=True, facts=facts
    )
    _, text = card_of(tmp_path)
    assert "- acoustic feature vggish, pre-trained weights vggish-10086976.pth (licence: Apache-2.0)" in text
    assert "- acoustic feature logmel\n" in text
    (vectors,) = re.findall("^- word vectors: (.*)$", text, re.M)
    assert vectors.count(CATALOGUE["muse-it"].licence) == 2
    assert vectors.endswith(", mine.vec")


def test_facts_are_empty_by_default():
    assert voice().facts == Facts()
    assert Facts().languages == []


def test_cells_cannot_break_the_table(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", corpus="a|b")
    run = train(corpus, tmp_path / "run", tiny_config())
    _, text = card_of(run.folder)
    assert row_of(text, "a/b")[-4:-2] == ["8", "32"]


def test_names_cannot_bring_markup(tmp_path):
    corpus = CorpusFacts("<script>alert(1)</script>\n# Safe", counts={"a": 1, "*b*": 1}, utterances=2, licence="[x](y)")
    facts = Facts(corpora=(corpus,), split={"strategy": "<img src=x>", "guarantee": "`x`"})
    write_card(
        tmp_path, ClassTarget(("a", "*b*")), {"vggish": "<b>.pth"}, reads_text=False, facts=facts, name='x"\nimport os'
    )
    _, text = card_of(tmp_path)
    assert "<" not in text
    assert "\n# Safe" not in text
    assert 'PathosNet.from_pretrained("x\\"\\nimport os")' in text
    assert "\\*b\\*" in text
    assert "\\[x\\](y)" in text
