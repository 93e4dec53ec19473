"""One import of a corpus into a manifest."""

from pathlib import Path

from making import read_rows

from pathosnet.corpora.importing import ImportOptions, import_corpus
from pathosnet.corpora.known import find_importer


def imported(name: str, folder: Path, **options):
    """What an import writes, rows by the name of the recording, and its notes."""
    out = folder.parent / f"{name}.csv"
    importer = find_importer(name, options.get("pattern", ""))
    done = import_corpus(importer, folder, out, options=ImportOptions(**options), overwrite=True)
    rows = read_rows(out)
    assert len(rows) == len(done.utterances)
    assert all((out.parent / row["audio"]).is_file() for row in rows if row.get("audio"))
    return {Path(row.get("audio", "")).stem or str(i): row for i, row in enumerate(rows)}, done.notes
