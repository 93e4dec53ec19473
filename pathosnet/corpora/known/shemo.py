"""ShEMO: Persian radio plays, 87 speakers."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}

IMPORTER = importer_of_names(
    "shemo",
    "ShEMO",
    pattern=rf"(?P<speaker>[FM]\d\d)(?P<emotion>{one_of(EMOTIONS)})(\d\d)",
    example="F01A01.wav",
    emotions=EMOTIONS,
    language="fa",
    source="GitHub, mansourehk/ShEMO",
)
