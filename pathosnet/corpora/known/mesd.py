"""MESD: single words of Mexican Spanish by women, men and children. Its names tell voices apart, not speakers."""

from pathosnet.corpora.known.names import importer_of_names, one_of

EMOTIONS = {
    "Anger": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happiness": "happiness",
    "Neutral": "neutral",
    "Sadness": "sadness",
}

IMPORTER = importer_of_names(
    "mesd",
    "MESD",
    pattern=rf"(?P<emotion>{one_of(EMOTIONS)})_(?P<speaker>[FMC])_([AB])_(?P<text>.+)",
    example="Anger_C_A_abajo.wav",
    emotions=EMOTIONS,
    language="es",
    source="Mendeley Data, cy34mh68j9",
    licence="CC BY 4.0",
)
