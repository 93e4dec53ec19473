"""Oréau: French speakers; the name holds speaker, sentence and emotion."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "C": "anger",
    "D": "disgust",
    "J": "happiness",
    "N": "neutral",
    "P": "fear",
    "S": "surprise",
    "T": "sadness",
}
"""The letters stand for the French words."""

IMPORTER = importer_of_names(
    "oreau",
    "Oréau",
    pattern=rf"(?P<speaker>\d+[FM])(?P<script>[a-z]?\d+?)(?P<emotion>{one_of(EMOTIONS)})(\d*)",
    example="01F1C1.wav",
    emotions=EMOTIONS,
    language="fr",
    source="Zenodo, record 4405783",
)
