"""CaFE: twelve speakers of Canadian French, six sentences."""

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
    "cafe",
    "CaFE",
    pattern=rf"(?P<speaker>\d+)-(?P<emotion>{one_of(EMOTIONS)})-([12])-(?P<script>\d+)",
    example="01-C-1-1.wav",
    emotions=EMOTIONS,
    language="fr",
    source="Zenodo, record 1478765",
    licence="CC BY-NC-SA 4.0",
)
