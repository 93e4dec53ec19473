"""Speech encoders that have a short name here: where they are published, under which license, and how large they are.

Addresses, revisions, licenses and sizes are as their publishers state them; read the license before you use one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownEncoder:
    """A speech encoder on the Hugging Face hub.

    Args:
        name: what options and commands call it.
        repository: on the hub.
        license: as the publisher states it.
        size: of its weights file, in MB; of Whisper that holds the decoder, too.
        about: layers, width, and what it was trained on.
        revision: the commit that is fetched; the newest if it is empty.
        sha256: of its tensors, see ``hash_tensors``; empty if it was not measured.
    """

    name: str
    repository: str
    license: str
    size: int
    about: str
    revision: str = ""
    sha256: str = ""


WHISPER = "680,000 hours of transcribed speech in 99 languages"
LIBRISPEECH = "960 hours of English audiobooks"

KNOWN_ENCODERS: dict[str, KnownEncoder] = {
    known.name: known
    for known in (
        KnownEncoder(
            "whisper-tiny",
            "openai/whisper-tiny",
            "Apache-2.0",
            size=151,
            about=f"4 layers of 384; {WHISPER}",
            revision="169d4a4341b33bc18d8881c4b69c2e104e1cc0af",
        ),
        KnownEncoder(
            "whisper-base",
            "openai/whisper-base",
            "Apache-2.0",
            size=290,
            about=f"6 layers of 512; {WHISPER}",
            revision="e37978b90ca9030d5170a5c07aadb050351a65bb",
            sha256="10e92e4de670305820cd751ad9377cd21192f4007baab95bfe3d59c8a74d0aa7",
        ),
        KnownEncoder(
            "whisper-small",
            "openai/whisper-small",
            "Apache-2.0",
            size=967,
            about=f"12 layers of 768; {WHISPER}",
            revision="973afd24965f72e36ca33b3055d56a652f456b4d",
        ),
        KnownEncoder(
            "whisper-medium", "openai/whisper-medium", "Apache-2.0", size=3056, about=f"24 layers of 1024; {WHISPER}"
        ),
        KnownEncoder(
            "whisper-large-v3", "openai/whisper-large-v3", "Apache-2.0", size=3087, about="32 layers of 1280; 5 M hours"
        ),
        KnownEncoder(
            "wav2vec2-base", "facebook/wav2vec2-base", "Apache-2.0", size=380, about=f"12 layers of 768; {LIBRISPEECH}"
        ),
        KnownEncoder(
            "hubert-base", "facebook/hubert-base-ls960", "Apache-2.0", size=378, about=f"12 layers; {LIBRISPEECH}"
        ),
        KnownEncoder(
            "wavlm-base-plus",
            "microsoft/wavlm-base-plus",
            "CC BY-SA 3.0 by the UniSpeech repository",
            size=378,
            about="12 layers of 768; 94,000 hours of English",
        ),
        KnownEncoder(
            "wavlm-large",
            "microsoft/wavlm-large",
            "CC BY-SA 3.0 by the UniSpeech repository",
            size=1262,
            about="24 layers of 1024; 94,000 hours of English",
        ),
        KnownEncoder(
            "xls-r-300m",
            "facebook/wav2vec2-xls-r-300m",
            "Apache-2.0",
            size=1270,
            about="24 layers of 1024; 436,000 hours in 128 languages",
        ),
        KnownEncoder(
            "data2vec-audio-base",
            "facebook/data2vec-audio-base",
            "Apache-2.0",
            size=373,
            about=f"12 layers of 768; {LIBRISPEECH}",
        ),
        KnownEncoder(
            "w2v-bert-2.0",
            "facebook/w2v-bert-2.0",
            "MIT",
            size=2322,
            about="24 layers of 1024; 4.5 M hours in 143 languages",
        ),
    )
}
