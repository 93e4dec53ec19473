"""CASIA: four speakers of Mandarin; the folders are speaker and emotion."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}

IMPORTER = importer_of_names(
    "casia",
    "CASIA",
    pattern=rf"(?P<speaker>[^/]+)/(?P<emotion>{one_of(EMOTIONS)})/(?P<script>\d+)",
    example="liuchanhg/angry/201.wav",
    folders=2,
    emotions=EMOTIONS,
    language="zh",
    source="Institute of Automation, Chinese Academy of Sciences",
)
