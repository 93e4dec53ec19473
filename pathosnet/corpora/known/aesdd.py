"""AESDD: Greek actors; the folder is the emotion."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {"anger": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happiness", "sadness": "sadness"}

IMPORTER = importer_of_names(
    "aesdd",
    "AESDD",
    pattern=rf"(?P<emotion>{one_of(EMOTIONS)})/([adfhs])(?P<script>\d+) ?\((?P<speaker>\d+)\)([a-z]?)",
    example="anger/a01 (1).wav",
    folders=1,
    emotions=EMOTIONS,
    language="el",
    source="Aristotle University of Thessaloniki, m3c.web.auth.gr",
)
