"""EmoV-DB: four speakers of English; sleepiness and amusement beside anger, disgust and neutral."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "amused": "amusement",
    "anger": "anger",
    "angry": "anger",
    "disgust": "disgust",
    "disgusted": "disgust",
    "neutral": "neutral",
    "sleepiness": "sleepiness",
    "sleepy": "sleepiness",
}

IMPORTER = importer_of_names(
    "emovdb",
    "EmoV-DB",
    pattern=rf"(?P<speaker>[^/]+)/(?:{one_of(EMOTIONS)})/(?P<emotion>{one_of(EMOTIONS)})_\d+-\d+_(?P<script>\d+)",
    example="bea/Angry/anger_1-28_0001.wav",
    folders=2,
    emotions=EMOTIONS,
    language="en",
    source="OpenSLR 115",
)
