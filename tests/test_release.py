"""What is built for a release: versions that agree, a wheel and an sdist with all that they need and nothing else."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import pathosnet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 12_000_000
OTHER_NAMES = {
    "docstring-parser": "docstring_parser",
    "huggingface-hub": "huggingface_hub",
    "lazy-loader": "lazy_loader",
    "matplotlib": "matplotlib-base",
    "soundfile": "pysoundfile",
    "soxr": "soxr-python",
    "torch": "pytorch",
}
"""On the package index → on conda-forge."""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def test_versions_agree():
    version = pathosnet.__version__
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name, read in (
        ("CITATION.cff", lambda found: found["version"]),
        ("conda/recipe.yaml", lambda found: found["context"]["version"]),
    ):
        assert read(yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))) == version


def test_the_conda_recipe_requires_what_the_project_does(project):
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    expected = {f"python {project['project']['requires-python']}"}
    for one in map(Requirement, project["project"]["dependencies"]):
        expected.add(f"{OTHER_NAMES.get(one.name, one.name)} {one.specifier}")
    assert set(recipe["requirements"]["run"]) == expected
    host = recipe["requirements"]["host"]
    assert {*project["build-system"]["requires"]} <= {line.split()[0] for line in host}


def test_the_container_shows_the_help():
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ['ENTRYPOINT ["pathosnet"]', 'CMD ["--help"]']


def test_the_wheel_holds_the_package_and_its_models(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        tracked = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "pathosnet").rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert names == tracked
        assert {"pathosnet/recognizer/shipped/base/README.md", "pathosnet/py.typed"} <= names
    assert built[1].stat().st_size <= LARGEST


def test_the_sdist_holds_what_tests_and_documentation_need(built):
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "tests/conftest.py",
        "docs/index.md",
        "README.md",
        "CHANGELOG.md",
        "Containerfile",
        "conda/recipe.yaml",
    } <= names
    assert not [name for name in names if name.startswith((".git/", "runs/")) or name.endswith(".pyc")]
    assert built[0].stat().st_size <= LARGEST


def test_the_readme_stands_alone(built):
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
        text = wheel.read(name).decode("utf-8")
    assert "# pathosnet" in text
    assert re.findall(r"\]\((?!https://|#)[^)]*\)", text) == []


def test_the_index_accepts_the_metadata(built):
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
