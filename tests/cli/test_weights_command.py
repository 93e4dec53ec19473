import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import QUICK, error_of
from making import make_corpus, random_vggish, save_weights, write_vectors
from serving import file_server

from pathosnet import PathosNet, cli
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
from pathosnet.files import hash_file
from pathosnet.weights import download
from pathosnet.weights.catalogue import CATALOGUE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def test_list_shows_every_file_with_its_licence(capsys):
    cli.main(["weights"])
    shown = capsys.readouterr().out
    for known in CATALOGUE.values():
        assert f"  {known.name}: {known.purpose}" in shown
        assert known.licence in shown
    for encoder in KNOWN_ENCODERS.values():
        assert f"  {encoder.name}: speech encoder" in shown
        assert f"{encoder.repository}, {encoder.size} MB; {encoder.license}" in shown
    cli.main(["weights", "list", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [*CATALOGUE, *KNOWN_ENCODERS]
    assert not any(one["here"] for one in listed)


def test_got_file_is_marked_and_verified(tmp_path, capsys, cache, monkeypatch):
    body = write_vectors(tmp_path / "it.vec", ["ciao", "mondo"]).read_bytes()
    with file_server({"/wiki.multi.it.vec": body}) as server:
        known = replace(CATALOGUE["muse-it"], url=f"{server.url}/wiki.multi.it.vec")
        monkeypatch.setitem(CATALOGUE, "muse-it", known)
        cli.main(["weights", "get", "muse-it", "--progress", "false"])
    captured = capsys.readouterr()
    assert captured.out == f"muse-it: {cache / 'wiki.multi.it.vec'}; license: {known.licence}\n"
    cli.main(["weights", "list"])
    assert "* muse-it" in capsys.readouterr().out
    cli.main(["weights", "verify", "muse-it", str(tmp_path / "it.vec")])
    verified, plain = capsys.readouterr().out.splitlines()
    assert "recorded when it was downloaded" in verified
    assert verified.endswith("word vectors, dimension 300, 3 lines")
    assert "nothing to compare it with" in plain


def test_own_copy_of_what_has_no_address(tmp_path, capsys, cache):
    assert "has no address to download from" in error_of(capsys, "weights", "get", "ghostvlad")
    (tmp_path / "weights.h5").write_bytes(b"anything")
    cli.main(["weights", "get", "ghostvlad", "--file", str(tmp_path / "weights.h5")])
    assert (cache / "ghostvlad-weights.h5").read_bytes() == b"anything"
    assert "cannot be read as weights" in error_of(capsys, "weights", "verify", "ghostvlad")


def test_verify_finds_another_file_under_a_known_name(tmp_path, capsys):
    save_weights(tmp_path / "vggish-10086976.pth", random_vggish())
    err = error_of(capsys, "weights", "verify", tmp_path / "vggish-10086976.pth")
    assert "expected 10086976 (known to pathosnet)" in err


def test_convert_writes_what_training_takes(tmp_path, capsys):
    source = save_weights(tmp_path / "vggish.pth", random_vggish())
    out = tmp_path / "vggish.safetensors"
    cli.main(["weights", "convert", str(source), "--kind", "vggish", "--out", str(out)])
    assert capsys.readouterr().out == f"{out}: VGGish without dense layers, 12 tensors, 4,499,712 parameters\n"
    assert "exists already" in error_of(capsys, "weights", "convert", source, "--kind", "vggish", "--out", out)


def test_names_stand_for_files_in_training(tmp_path, capsys, cache):
    """VGGish and word vectors by name; the saved model can refer to the cache."""
    corpus = make_corpus(tmp_path / "corpus", per_class=5, seconds=(1.0, 1.1), language="it")
    train = ["train", str(corpus), "--out", str(tmp_path / "run"), "--acoustic", "vggish", "--vggish", "vggish"]
    train += ["--vggish_output", "pool", "--text", "it=muse-it", "--fine_tune", "false", "--workers", "0", *QUICK]
    assert "pathosnet weights get muse-it" in error_of(capsys, *train)
    cache.mkdir(parents=True)
    write_vectors(cache / "wiki.multi.it.vec", ["wonderful", "day"])
    assert "pathosnet weights get vggish" in error_of(capsys, *train)
    save_weights(cache / "vggish-10086976.pth", random_vggish())
    cli.main(train)
    model = PathosNet.from_pretrained(tmp_path / "run")
    assert model.acoustic["vggish"].backbone.source.sha256 == hash_file(cache / "vggish-10086976.pth")
    model.save_pretrained(tmp_path / "small", embed_weights=False)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("run", "small")]
    assert sizes[1] < sizes[0] / 100
    clip = corpus.parent / "anger_0.wav"
    assert PathosNet.from_pretrained(tmp_path / "small").predict(clip, "day") == model.predict(clip, "day")


def test_mistakes(capsys, tmp_path):
    assert "no known file is called 'vgish'" in error_of(capsys, "weights", "get", "vgish")
    assert "one name for one file" in error_of(capsys, "weights", "get", "vggish", "muse-it", "--file", "x")
    assert "No such file" in error_of(capsys, "weights", "verify", tmp_path / "absent.h5")
    assert "pathosnet weights get lid-ftz" in error_of(capsys, "weights", "verify", "lid-ftz")


def test_interruption_says_what_becomes_of_the_download(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "get_known_file", interrupted)
    with pytest.raises(SystemExit) as caught:
        cli.main(["weights", "get", "vggish"])
    assert caught.value.code == 130
    expected = "interrupted; what has come of a download is kept, the same command goes on from there\n"
    assert capsys.readouterr().err == expected
