"""The corpora that have importers, one small file each."""

from pathosnet.corpora.importing import CorpusImporter
from pathosnet.corpora.known import (
    aesdd,
    ased,
    audformat_databases,
    cafe,
    casia,
    cremad,
    emodb,
    emofilm,
    emovdb,
    emovo,
    emozionalmente,
    esd,
    iemocap,
    jl,
    meld,
    mesd,
    msppodcast,
    nemo,
    oreau,
    patterns,
    ravdess,
    savee,
    shemo,
    subesco,
    tess,
    urdu,
)
from pathosnet.errors import InputError

IMPORTERS: dict[str, CorpusImporter] = {
    importer.name: importer
    for importer in (
        iemocap.IMPORTER,
        emofilm.IMPORTER,
        patterns.SES,
        patterns.AESI,
        emovo.IMPORTER,
        ravdess.IMPORTER,
        emodb.IMPORTER,
        urdu.IMPORTER,
        nemo.IMPORTER,
        savee.IMPORTER,
        tess.IMPORTER,
        meld.IMPORTER,
        cremad.IMPORTER,
        esd.IMPORTER,
        msppodcast.IMPORTER,
        subesco.IMPORTER,
        shemo.IMPORTER,
        casia.IMPORTER,
        ased.IMPORTER,
        emozionalmente.IMPORTER,
        cafe.IMPORTER,
        oreau.IMPORTER,
        jl.IMPORTER,
        emovdb.IMPORTER,
        mesd.IMPORTER,
        aesdd.IMPORTER,
        audformat_databases.IMPORTER,
    )
}
"""Name → importer; the paper's corpora first."""


def find_importer(name: str, pattern: str = "") -> CorpusImporter:
    """Returns the importer of a corpus; with a pattern, of any corpus.

    Raises:
        InputError: there is none.
    """
    if pattern and (name not in IMPORTERS or "pattern" not in IMPORTERS[name].options):
        return patterns.of_name(name)
    if name not in IMPORTERS:
        raise InputError(
            f"no importer is called {name!r}, only {', '.join(IMPORTERS)}; for other corpora say how their files are "
            f"named: --pattern '{patterns.EXAMPLE}'"
        )
    return IMPORTERS[name]


__all__ = ["IMPORTERS", "find_importer"]
