"""ASED: Amharic speakers; the name is emotion, sentence, repetition, sex and speaker."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {"a": "anger", "f": "fear", "h": "happiness", "n": "neutral", "s": "sadness"}

IMPORTER = importer_of_names(
    "ased",
    "ASED",
    pattern=rf"(?P<emotion>{one_of(EMOTIONS)})(\d*)-(?P<script>\d+)-(\d+)-([a-z0-9]+)-(?P<speaker>\d+)",
    example="a1-01-01-02-10.wav",
    emotions=EMOTIONS,
    language="am",
    source="GitHub, Ethio2021/ASED_V1",
)
