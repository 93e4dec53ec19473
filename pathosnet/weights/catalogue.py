"""Public files that models are built on: pre-trained weights, word vectors, language identifiers.

Addresses and licences are as their publishers state them; read the licence there before you use a file. The hash of
lid.176.ftz was measured on a copy of the file; those of lid.176.bin and glove.6B.zip are the ones that package
repositories publish for them. Where no hash is known, the first download's is recorded and later ones have to agree.
"""

from dataclasses import dataclass
from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.files import cache_folder, to_path

FACEBOOK = "https://dl.fbaipublicfiles.com"
LANGUAGES = (
    *("ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hr", "hu", "id", "it", "mk"),
    *("nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk", "vi"),
)
"""Those that MUSE has; fastText's crawl vectors exist for 157."""


@dataclass(frozen=True)
class KnownFile:
    """A file that people can get.

    Args:
        name: what options and commands call it.
        purpose: what it is good for here.
        file: its name in the cache, unpacked.
        source: who publishes it.
        licence: as the publisher states it.
        url: of the download, perhaps packed (``.gz``, ``.zip``); empty if there is no stable address.
        sha256: of the download; empty if it is not known.
        sha256_prefix: its first digits, where those alone are known.
    """

    name: str
    purpose: str
    file: str
    source: str
    licence: str
    url: str = ""
    sha256: str = ""
    sha256_prefix: str = ""

    @property
    def download(self) -> str:
        """The name of what is downloaded, which may be an archive of the file."""
        return self.url.rpartition("/")[2] or self.file

    @property
    def path(self) -> Path:
        """Where the file is, once somebody got it."""
        return weights_folder() / self.file


def weights_folder() -> Path:
    """Returns the folder for downloads, in the user's cache."""
    return cache_folder("weights")


def _muse(language: str) -> KnownFile:
    return KnownFile(
        f"muse-{language}",
        f"word vectors of {language} in the space that all muse-… share: --text {language}=muse-{language}",
        f"wiki.multi.{language}.vec",
        source="facebookresearch/MUSE on GitHub",
        licence="the MUSE repository's (CC BY-NC 4.0); made of fastText's Wikipedia vectors (CC BY-SA 3.0)",
        url=f"{FACEBOOK}/arrival/vectors/wiki.multi.{language}.vec",
    )


def _fasttext(language: str, suffix: str) -> KnownFile:
    is_text = suffix == "vec"
    return KnownFile(
        f"fasttext-{language}{'-vec' if is_text else ''}",
        f"word vectors of {language}, {'known words only' if is_text else 'unseen words, too (fastText model)'}",
        f"cc.{language}.300.{suffix}",
        source="fasttext.cc, Word vectors for 157 languages",
        licence="CC BY-SA 3.0",
        url=f"{FACEBOOK}/fasttext/vectors-crawl/cc.{language}.300.{suffix}.gz",
    )


def _identifier(suffix: str, size: str, sha256: str) -> KnownFile:
    file = f"lid.176.{suffix}"
    return KnownFile(
        f"lid-{suffix}",
        f"finds out a text's language ({size}): --language-identifier lid-{suffix}",
        file,
        source="fasttext.cc, Language identification",
        licence="CC BY-SA 3.0",
        url=f"{FACEBOOK}/fasttext/supervised-models/{file}",
        sha256=sha256,
    )


CATALOGUE: dict[str, KnownFile] = {
    known.name: known
    for known in (
        KnownFile(
            "vggish",
            "VGGish: --acoustic vggish --vggish vggish",
            "vggish-10086976.pth",
            source="harritaylor/torchvggish on GitHub, release v0.1",
            licence="Apache-2.0",
            url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
            sha256_prefix="10086976",  # PyTorch Hub's file names end with the first digits of the hash
        ),
        KnownFile(
            "ghostvlad",
            "Thin ResNet-34 + GhostVLAD: --acoustic ghostvlad --ghostvlad ghostvlad",
            "ghostvlad-weights.h5",
            source="WeidiXie/VGG-Speaker-Recognition on GitHub (links to Google Drive and Dropbox: "
            "gvlad_softmax/resnet34_vlad8_ghost2_bdim512_deploy/weights.h5), taylorlu/ghostvlad-speaker",
            licence="CC BY-SA 4.0 by the README's words, CC BY 4.0 by its link",
        ),
        *(_muse(language) for language in LANGUAGES),
        KnownFile(
            "glove-6b",
            "English word vectors: --text glove-6b",
            "glove.6B.300d.txt",
            source="Stanford's GloVe page",
            licence="PDDL 1.0",
            url="https://nlp.stanford.edu/data/glove.6B.zip",
            sha256="617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
        ),
        *(_fasttext(language, suffix) for suffix in ("bin", "vec") for language in LANGUAGES),
        _identifier("ftz", "0.9 MB", "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"),
        _identifier("bin", "126 MB", "7e69ec5451bc261cc7844e49e4792a85d7f09c06789ec800fc4a44aec362764e"),
    )
}


def find_known(name: str) -> KnownFile:
    """Returns a file of the catalogue.

    Raises:
        InputError: there is none of this name.
    """
    if name not in CATALOGUE:
        raise InputError(
            f"no known file is called {name!r}; `pathosnet weights list` shows vggish, ghostvlad, muse-LANGUAGE, "
            "glove-6b, fasttext-LANGUAGE, fasttext-LANGUAGE-vec, lid-ftz, lid-bin"
        )
    return CATALOGUE[name]


def find_by_file(file: str) -> KnownFile | None:
    """Returns what is known about a file of this name."""
    return next((known for known in CATALOGUE.values() if known.file == file), None)


def file_or_known(value: str) -> str:
    """Turns a name of the catalogue into the file that was downloaded; leaves anything else as it is.

    Raises:
        InputError: the name is known, but nobody downloaded the file.
    """
    if value not in CATALOGUE or Path(value).exists():
        return str(to_path(value))
    path = CATALOGUE[value].path
    if not path.is_file():
        raise InputError(f"{value}: is not downloaded yet ({path}); get it with: pathosnet weights get {value}")
    return str(path)
