"""EMOVO: six Italian actors, fourteen sentences."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

EMOTIONS = {
    "neu": "neutral",
    "dis": "disgust",
    "gio": "happiness",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
SENTENCES = {
    "b1": "Gli operai si alzano presto",
    "b2": "I vigili sono muniti di pistola",
    "b3": "La cascata fa molto rumore",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata",
    "l3": "Un attimo dopo s'è incamminato ... ed è inciampato",
    "l4": "Vorrei il numero telefonico del Signor Piatti",
    "n1": "La casa forte vuole col pane",
    "n2": "La forza trova il passo e l'aglio rosso",
    "n3": "Il gatto sta scorrendo nella pera",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello",
    "n5": "Uno quarantatré dieci mille cinquantasette venti",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}
NAME = re.compile(rf"(?P<emotion>{'|'.join(EMOTIONS)})-(?P<speaker>[fm][1-3])-(?P<sentence>{'|'.join(SENTENCES)})")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "gio-f1-b1.wav", notes=notes):
        yield ImportedUtterance(
            audio,
            SENTENCES[name["sentence"]],
            EMOTIONS[name["emotion"]],
            speaker=name["speaker"],
            script=name["sentence"],
            language="it",
        )


IMPORTER = CorpusImporter(
    name="emovo",
    title="EMOVO",
    languages=("it",),
    emotions=tuple(EMOTIONS.values()),
    source="Fondazione Ugo Bordoni",
    layout="f1 … m3 with recordings named emotion, speaker, sentence, such as f1/gio-f1-b1.wav",
    read=_read,
)
