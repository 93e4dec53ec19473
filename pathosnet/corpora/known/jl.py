"""JL corpus: four speakers of New Zealand English. Its secondary emotions keep their names."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "angry": "anger",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "excited": "excitement",
    "anxious": "anxiety",
    "apologetic": "apology",
    "assertive": "assertiveness",
    "concerned": "concern",
    "encouraging": "encouragement",
}

IMPORTER = importer_of_names(
    "jl",
    "JL corpus",
    pattern=rf"(?P<speaker>(?:fe)?male\d)_(?P<emotion>{one_of(EMOTIONS)})_(?P<script>\d+[ab]?)_(\d+)",
    example="female1_angry_10a_1.wav",
    emotions=EMOTIONS,
    language="en",
    source="Kaggle, tli725/jl-corpus",
    licence="CC0 1.0",
)
