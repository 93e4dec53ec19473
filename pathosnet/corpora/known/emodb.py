"""EmoDB, the Berlin database of emotional speech: ten actors, ten sentences."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
"""The letters stand for the German words."""
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(rf"(?P<speaker>\d\d)(?P<sentence>{'|'.join(SENTENCES)})(?P<emotion>[{''.join(EMOTIONS)}])([a-z]?)")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "03a01Wa.wav", notes=notes):
        yield ImportedUtterance(
            audio,
            SENTENCES[name["sentence"]],
            EMOTIONS[name["emotion"]],
            speaker=name["speaker"],
            script=name["sentence"],
            language="de",
        )


IMPORTER = CorpusImporter(
    name="emodb",
    title="EmoDB",
    languages=("de",),
    emotions=tuple(EMOTIONS.values()),
    source="TU Berlin, emodb.bilderbar.info",
    layout="recordings named speaker, sentence, emotion, version, such as wav/03a01Wa.wav",
    read=_read,
)
