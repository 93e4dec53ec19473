"""SUBESCO: twenty Bangla speakers, ten sentences."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "ANGRY": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": "surprise",
}

IMPORTER = importer_of_names(
    "subesco",
    "SUBESCO",
    pattern=rf"(?P<speaker>[FM]_\d+)_[^_]+_S_(?P<script>\d+)_(?P<emotion>{one_of(EMOTIONS)})_(\d+)",
    example="F_01_OISHI_S_1_ANGRY_1.wav",
    emotions=EMOTIONS,
    language="bn",
    source="Zenodo, record 4526477",
    licence="CC BY 4.0",
)
