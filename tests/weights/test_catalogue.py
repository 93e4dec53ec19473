import re

import pytest

from pathosnet.errors import InputError
from pathosnet.weights import catalogue
from pathosnet.weights.catalogue import CATALOGUE, file_or_known, find_by_file, find_known


def test_names_and_files_are_unique():
    assert all(name == known.name for name, known in CATALOGUE.items())
    assert len({known.file for known in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize("known", CATALOGUE.values(), ids=CATALOGUE)
def test_entries_are_whole(known):
    assert known.purpose
    assert known.source
    assert known.licence
    assert known.url == "" or known.url.startswith("https://")
    assert re.fullmatch(r"[\w.-]+", known.file)  # a plain name, in one folder with all others
    assert re.fullmatch(r"([0-9a-f]{64})?", known.sha256)
    assert known.download in (known.file, f"{known.file}.gz", "glove.6B.zip")


def test_hash_of_the_identifier_is_that_of_a_real_copy(shared_data):
    from pathosnet.files import hash_file

    assert hash_file(shared_data / "vectors" / "lid.176.ftz") == find_known("lid-ftz").sha256


def test_prefix_of_torchvggish_is_the_one_in_its_name():
    known = find_known("vggish")
    assert known.file == f"vggish-{known.sha256_prefix}.pth"


def test_unknown_names():
    with pytest.raises(InputError, match=r"no known file is called 'vgish'; `pathosnet weights list`"):
        find_known("vgish")
    assert find_by_file("nothing.h5") is None
    assert find_by_file("wiki.multi.el.vec") is CATALOGUE["muse-el"]


def test_names_become_cached_files(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"muse-it: is not downloaded yet .*: pathosnet weights get muse-it$"):
        file_or_known("muse-it")
    path = tmp_path / "cache" / "weights" / "wiki.multi.it.vec"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert file_or_known("muse-it") == str(path)


def test_files_go_before_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vggish").write_text("x")
    assert file_or_known("vggish") == "vggish"
    assert file_or_known("some/file.vec") == "some/file.vec"


def test_cache_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path))
    assert catalogue.weights_folder() == tmp_path / "weights"
