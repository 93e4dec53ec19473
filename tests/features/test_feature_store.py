import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch
from encoders import write_bert
from making import make_corpus, random_vggish, save_weights, tiny_config
from torch import Tensor

from pathosnet.audio import read_ahead
from pathosnet.corpora import Corpus, read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.prepare import hidden_versions, open_store, prepare
from pathosnet.features import TextEmbedder, load_encoder
from pathosnet.features.acoustic.extractors import LogMelExtractor, VGGishExtractor
from pathosnet.features.extract import extract_all, extract_features, hidden_features
from pathosnet.features.store import FORMAT, FeatureStore, Recipe, hash_weights
from pathosnet.files import hash_file

RECIPE = Recipe("vggish", "features", {"output": "relu"}, weights="0" * 64)
SEQUENCES = {
    "a": torch.arange(6.0).reshape(3, 2),
    "b": torch.zeros(0, 2),
    "c": torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).bfloat16(),
}


def put(store: FeatureStore, sequences: dict[str, Tensor], recipe: Recipe = RECIPE) -> Path:
    """Writes one pack and returns it."""
    shelf = store.shelf(recipe)
    before = set(shelf.folder.glob("*.safetensors"))
    with shelf.writing() as add:
        for key, sequence in sequences.items():
            add(key, sequence)
    (pack,) = set(shelf.folder.glob("*.safetensors")) - before
    return pack


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def test_what_was_put_is_found_in_shape_and_type(store):
    put(store, SEQUENCES)
    found = FeatureStore(store.folder).shelf(RECIPE).find(["a", "unknown", "b", "c"])
    assert list(found) == ["a", "b", "c"]
    for key, sequence in SEQUENCES.items():
        assert found[key].dtype == sequence.dtype
        assert torch.equal(found[key], sequence)


@pytest.mark.parametrize(
    "other",
    [
        Recipe("ghostvlad", "features", {"output": "relu"}, weights="0" * 64),
        Recipe("vggish", "frozen", {"output": "relu"}, weights="0" * 64),
        Recipe("vggish", "features", {"output": "pool"}, weights="0" * 64),
        Recipe("vggish", "features", {"output": "relu"}, weights="1" * 64),
        Recipe("vggish", "features", {"output": "relu"}, weights="0" * 64, format=FORMAT + 1),
    ],
)
def test_another_recipe_finds_nothing(store, other):
    put(store, SEQUENCES)
    assert store.shelf(other).find(["a"]) == {}


def test_features_are_memory_mapped(store):
    pack = put(store, {"a": torch.ones(1000, 100)})
    found = store.shelf(RECIPE).find(["a"])
    assert str(pack) in Path("/proc/self/maps").read_text()
    del found


def test_packs_are_written_as_they_fill(store, monkeypatch):
    monkeypatch.setattr("pathosnet.features.store.PACK_BYTES", 100)
    shelf = store.shelf(RECIPE)
    with shelf.writing() as add:
        for i in range(5):
            add(str(i), torch.full((15,), float(i)))  # 60 bytes
    assert len(list(shelf.folder.glob("*.safetensors"))) == 3
    assert [float(shelf.find([str(i)])[str(i)][0]) for i in range(5)] == [0, 1, 2, 3, 4]


def test_what_was_made_before_an_interruption_is_kept(store):
    shelf = store.shelf(RECIPE)
    with pytest.raises(KeyboardInterrupt), shelf.writing() as add:  # noqa: PT012 - that is the case
        add("a", SEQUENCES["a"])
        raise KeyboardInterrupt
    assert torch.equal(shelf.find(["a"])["a"], SEQUENCES["a"])


def test_a_damaged_pack_is_removed_and_its_features_are_not_returned(store):
    pack = put(store, {"a": SEQUENCES["a"]})
    put(store, {"b": SEQUENCES["b"]})
    flip_last_byte(pack)
    with pytest.warns(UserWarning, match=r"is damaged and was removed; its features are made again"):
        found = store.shelf(RECIPE).find(["a", "b"])
    assert list(found) == ["b"]
    assert not pack.exists()


@pytest.mark.parametrize("content", [b"", b"\x08", b"\xff" * 64, b"half"])
def test_a_pack_that_is_none_is_removed(store, content):
    pack = put(store, {"a": SEQUENCES["a"]})
    pack.write_bytes(content if content != b"half" else pack.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="is damaged and was removed"):
        assert store.shelf(RECIPE).find(["a"]) == {}
    assert not pack.exists()


def test_a_pack_that_appears_later_is_found(store):
    shelf = store.shelf(RECIPE)
    assert shelf.find(["a"]) == {}
    put(store, {"a": SEQUENCES["a"]})
    assert list(shelf.find(["a"])) == ["a"]


def test_statistics(store):
    put(store, SEQUENCES)
    put(store, {"a": SEQUENCES["a"], "d": SEQUENCES["a"]})
    (shelf,) = store.statistics()
    assert shelf.sequences == 4
    assert shelf.bytes == sum(path.stat().st_size for path in store.folder.rglob("*.safetensors"))
    assert shelf.recipe["config"] == {"output": "relu"}


def test_nothing_to_show_or_prune(store):
    assert store.statistics() == []
    assert store.prune().packs == 0


def test_pruning_by_age_and_size(store):
    packs = [put(store, {str(i): torch.zeros(1000)}) for i in range(4)]
    for i, pack in enumerate(packs):
        os.utime(pack, (time.time() - 1000 * (4 - i),) * 2)  # the first was used longest ago
    assert store.prune(unused_seconds=3500).packs == 1
    assert [pack.exists() for pack in packs] == [False, True, True, True]
    pruned = store.prune(max_bytes=2 * packs[1].stat().st_size)
    assert [pack.exists() for pack in packs] == [False, False, True, True]
    assert pruned.bytes > 4000
    assert store.prune(unused_seconds=0).packs == 2
    assert list(store.folder.iterdir()) == []


def test_finding_counts_as_use(store):
    pack = put(store, SEQUENCES)
    os.utime(pack, (1000, 1000))
    store.shelf(RECIPE).find(["a"])
    assert time.time() - pack.stat().st_mtime < 60


def test_pruning_removes_what_is_damaged_or_was_left_behind(store):
    damaged, whole = put(store, {"a": SEQUENCES["a"]}), put(store, {"c": SEQUENCES["c"]})
    flip_last_byte(damaged)
    old, new = whole.with_name("old.partial"), whole.with_name("new.partial")
    for path in (old, new):
        path.write_bytes(b"something")
    os.utime(old, (1000, 1000))
    assert store.prune().damaged == [damaged]
    assert [path.exists() for path in (damaged, whole, old, new)] == [False, True, False, True]


def test_a_store_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"features cannot be kept there .*--feature-store FOLDER, or none"):
        put(FeatureStore(tmp_path / "file"), SEQUENCES)


def test_hashes_tell_contents_and_weights_apart(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    with pytest.raises(InputError, match=r"missing: cannot be read"):
        hash_file(tmp_path / "missing")
    layer = torch.nn.Linear(2, 2)
    before = hash_weights(layer)
    assert hash_weights(layer) == before
    with torch.no_grad():
        layer.bias[1] += 1e-7
    assert hash_weights(layer) != before


# Through extraction


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Sixteen clips of which some are too short for VGGish."""
    path = make_corpus(tmp_path_factory.mktemp("corpus"), per_class=4, seconds=(0.8, 1.2))
    return read_manifest(path, PAPER_EMOTIONS)


@pytest.fixture
def heard(monkeypatch) -> list[str]:
    """Names of the recordings that are read."""
    names: list[str] = []
    read = read_ahead.read_recording
    monkeypatch.setattr(read_ahead, "read_recording", lambda path: names.append(path.name) or read(path))
    return names


@pytest.mark.parametrize("part", ["features", "frozen"])
def test_the_second_time_nothing_is_heard(store, corpus, heard, part):
    extractors = {"vggish": VGGishExtractor(random_vggish())}
    plain = extract_all(corpus.utterances, extractors, part, progress=False)["vggish"]
    first = extract_all(corpus.utterances, extractors, part, progress=False, store=store)["vggish"]
    assert len(heard) == 2 * len(corpus)
    heard.clear()
    second = extract_all(corpus.utterances, extractors, part, progress=False, store=store)["vggish"]
    assert heard == []
    assert {len(sequence) for sequence in plain} == {0, 1}
    for sequences in zip(plain, first, second, strict=True):
        assert all(torch.equal(sequences[0], sequence) for sequence in sequences)


def test_only_new_or_changed_recordings_are_heard(store, tmp_path, heard):
    path = make_corpus(tmp_path / "corpus", per_class=1, seconds=(1.0, 1.1))
    extractors = {"vggish": VGGishExtractor(random_vggish())}
    table = extract_features(read_manifest(path, PAPER_EMOTIONS), extractors, None, progress=False, store=store)
    (tmp_path / "corpus" / "anger_0.wav").write_bytes((tmp_path / "corpus" / "sadness_0.wav").read_bytes()[:-2000])
    heard.clear()
    changed = extract_features(read_manifest(path, PAPER_EMOTIONS), extractors, None, progress=False, store=store)
    assert heard == ["anger_0.wav"]
    same = [torch.equal(*pair) for pair in zip(*(t.sequences["vggish"] for t in (table, changed)), strict=True)]
    assert same == [True, False, True, True]


def test_what_has_no_version_is_not_kept(store, corpus):
    extractor = LogMelExtractor()
    extractor.version = None
    extract_all(corpus.utterances, {"logmel": extractor}, progress=False, store=store)
    assert not store.folder.exists()


def test_log_mel_frames_are_read_from_the_disk_as_they_were_made(store, corpus):
    made = extract_all(corpus.utterances, {"logmel": LogMelExtractor()}, progress=False)["logmel"]
    for _ in range(2):
        kept = extract_all(corpus.utterances, {"logmel": LogMelExtractor()}, progress=False, store=store)["logmel"]
        assert all(torch.equal(a, b) for a, b in zip(made, kept, strict=True))
    assert not any(sequence.untyped_storage().resizable() for sequence in kept)  # a file's


def test_a_recording_that_changes_while_it_is_read_is_not_kept_under_its_old_hash(store, corpus, monkeypatch):
    read = read_ahead.read_recording

    def changing(path):
        found = read(path)
        path.write_bytes(path.read_bytes()[:-2])
        return found

    monkeypatch.setattr(read_ahead, "read_recording", changing)
    with pytest.raises(InputError, match=r"corpus\.csv, row 2: .*wav: changed while it was read; run"):
        extract_all(corpus.utterances, {"logmel": LogMelExtractor()}, progress=False, store=store, workers=0)
    assert not list(store.folder.rglob("*.safetensors"))


def test_damage_is_mended(store, corpus):
    extractors = {"vggish": VGGishExtractor(random_vggish())}
    whole = [t.clone() for t in extract_all(corpus.utterances, extractors, progress=False, store=store)["vggish"]]
    for pack in store.folder.rglob("*.safetensors"):
        flip_last_byte(pack)
    with pytest.warns(UserWarning, match="is damaged"):
        mended = extract_all(corpus.utterances, extractors, progress=False, store=store)["vggish"]
    assert all(torch.equal(a, b) for a, b in zip(whole, mended, strict=True))


def extract_in_process(store: FeatureStore, corpus: Corpus, results: "multiprocessing.Queue[float]") -> None:
    torch.set_num_threads(1)
    extractors = {"vggish": VGGishExtractor(random_vggish())}
    found = hidden_features(corpus, extractors["vggish"], False, workers=0, store=store)
    results.put(sum(float(sequence.double().sum()) for sequence in found))


def test_processes_that_want_the_same_compute_it_once(store, corpus):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=extract_in_process, args=(store, corpus, results)) for _ in range(3)]
    for process in processes:
        process.start()
    sums = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sums[0] == sums[1] == sums[2] != 0
    assert len(list(store.folder.rglob("*.safetensors"))) == 1


def test_where_features_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    assert open_store(tiny_config()).folder == tmp_path / "cache" / "features"
    assert open_store(tiny_config(feature_store=str(tmp_path / "own"))).folder == tmp_path / "own"
    assert open_store(tiny_config(feature_store="none")) is None
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "file"))
    assert open_store(tiny_config()) is None
    assert "features are not kept" in capsys.readouterr().err


# Changed recordings


def test_only_training_utterances_get_changed_copies(corpus):
    config = tiny_config(text="none", augmentation="noise,masks", augmented_copies=2)
    trained_on = [0, 3, 5]
    table = prepare(corpus, config, trained_on).table
    assert len(table.copies) == 2
    for copy in table.copies:
        same = [torch.equal(a, b) for a, b in zip(table.sequences["logmel"], copy.sequences["logmel"], strict=True)]
        assert [i for i in range(len(corpus)) if not same[i]] == trained_on
    assert not torch.equal(*(copy.sequences["logmel"][3] for copy in table.copies))


def test_masks_and_words_need_no_copies(corpus):
    assert prepare(corpus, tiny_config(augmentation="masks,words")).table.copies == ()


def test_copies_reach_the_unlocked_layer(corpus, tmp_path):
    weights = save_weights(tmp_path / "vggish.safetensors", random_vggish())
    config = tiny_config(
        acoustic="vggish", vggish=str(weights), vggish_output="pool", augmentation="gain", augmented_copies=1
    )
    extractor = VGGishExtractor(random_vggish())
    original, changed = hidden_versions(corpus, extractor, config, trained_on=[0, 1])
    lengths = [len(sequence) for sequence in original]
    assert [len(sequence) for sequence in changed] == lengths
    differing = {i for i in range(len(corpus)) if not torch.equal(original[i], changed[i])}
    assert differing == {i for i in (0, 1) if lengths[i]}


# Texts


def test_sentences_are_embedded_once(tmp_path, store):
    path = make_corpus(tmp_path / "corpus", per_class=2, text=lambda i, emotion: f"ciao no {i % 3}")
    corpus = read_manifest(path, PAPER_EMOTIONS)
    encoder = load_encoder(str(write_bert(tmp_path / "bert")))
    embedder = TextEmbedder({"*": encoder})
    plain = extract_features(corpus, {}, embedder, progress=False).sequences["text"]
    first = extract_features(corpus, {}, embedder, progress=False, store=store).sequences["text"]
    encoder.embed_texts = None  # not called any more
    second = extract_features(corpus, {}, embedder, progress=False, store=store).sequences["text"]
    for sequences in zip(plain, first, second, strict=True):
        assert all(torch.equal(sequences[0], sequence) for sequence in sequences[1:])
    (shelf,) = store.statistics()
    assert (shelf.recipe["name"], shelf.sequences) == ("text", 3)


def test_another_encoder_layer_or_tokenizer_has_its_own_shelf(tmp_path):
    write_bert(tmp_path / "a")
    write_bert(tmp_path / "b", seed=1)
    embeddings = [load_encoder(str(tmp_path / name)) for name in "ab"]
    prints = [embedding.fingerprint() for embedding in embeddings]
    assert prints[0] == load_encoder(str(tmp_path / "a")).fingerprint() != prints[1]
    embeddings[0].tokenizer.add_tokens(["new"])
    assert embeddings[0].fingerprint() != prints[0]


def test_halves_are_kept_apart_take_half_the_room_and_come_back_as_single_precision(tmp_path):
    sequence = torch.randn(1000, 100, generator=torch.Generator().manual_seed(0))
    single, half = FeatureStore(tmp_path / "store"), FeatureStore(tmp_path / "store", halves=True)
    packs = [put(store, {"a": sequence, "b": torch.tensor([[1.0, 7e4]])}) for store in (single, half)]
    assert packs[1].stat().st_size < 0.52 * packs[0].stat().st_size
    found = FeatureStore(tmp_path / "store", halves=True).shelf(RECIPE).find(["a", "b"])
    assert torch.equal(found["a"], sequence.half().float())
    assert torch.equal(found["b"], torch.tensor([[1.0, 7e4]]))  # above what half precision holds
    assert torch.equal(single.shelf(RECIPE).find(["a"])["a"], sequence)


def test_features_kept_in_half_precision_are_the_same_in_every_run(tmp_path):
    corpus = read_manifest(make_corpus(tmp_path / "corpus", per_class=2, seconds=(1.0, 1.2)), PAPER_EMOTIONS)
    weights = save_weights(tmp_path / "vggish.safetensors", random_vggish())
    options = {"acoustic": "vggish", "vggish": str(weights), "vggish_output": "pool", "text": "none"}
    folder = str(tmp_path / "store")
    runs = [
        prepare(corpus, tiny_config(**options, feature_store=folder, feature_store_precision=precision)).table
        for precision in ("32", "16", "16")
    ]
    exact, first, second = (torch.cat(list(run.sequences["vggish"])) for run in runs)
    assert first.dtype == torch.float32
    assert torch.equal(first, second)
    assert 0 < (first - exact).abs().max() < 1e-3 * exact.abs().max()
