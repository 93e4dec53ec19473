"""Makes the small synthetic corpus that comes with the package: four emotions, four languages, spoken by espeak-ng.

    python tools/make_demo_corpus.py OUT_DIR

Writes ``OUT_DIR/manifest.csv`` (``audio,text,emotion,speaker,language,split``), ``OUT_DIR/audio/*.ogg`` and a README.

Half of the clips of an emotion say it in words ("I am so happy to see you again."), the other half are everyday
sentences that every emotion speaks alike, so that neither the transcript nor the voice is enough alone. The emotion is
in the voice through espeak-ng's own controls (speed, pitch, pitch range, pauses) and the color and level of the sound,
each with some chance, so that the classes overlap. Validation and test have voices that the training never hears, and
some sentences that it never reads.

Needs espeak-ng (Debian and Ubuntu: ``apt-get install espeak-ng``), numpy, scipy and soundfile. The same seed gives the
same manifest, byte for byte, and with the same version of espeak-ng the same sound; the .ogg files still differ from
run to run in a serial number that the Ogg container draws.
"""

import argparse
import csv
import math
import shutil
import subprocess
import tempfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import soundfile
from scipy.signal import resample_poly

SEED = 20210611
SAMPLE_RATE = 16000
COMPRESSION_LEVEL = 1.0  # of Vorbis, 0 (best) … 1 (smallest)
PEAK = 0.8  # no sample is louder, which leaves room for the overshoot of Vorbis
EMOTIONS = ("happiness", "anger", "sadness", "neutral")
SPLITS = ("train", "train", "train", "train", "validation", "test")  # of the voices of a language, in their order


@dataclass(frozen=True)
class Prosody:
    """How an emotion is spoken, or how much that varies from clip to clip."""

    speed: float
    """Words a minute, ``espeak-ng -s``."""
    pitch: float
    """Height of the voice, 0 … 99, ``espeak-ng -p``."""
    pitch_range: float
    """Liveliness of the melody, percent of the voice's own."""
    gap: float
    """Pause between words in units of 10 ms, ``espeak-ng -g``."""
    tilt: float
    """Color, dB an octave around 1 kHz: a dark voice is below 0, a bright one above."""
    level: float
    """Loudness, dB of full scale (root mean square)."""


PROSODY = {
    "happiness": Prosody(speed=203, pitch=64, pitch_range=160, gap=0.5, tilt=0.3, level=-22),
    "anger": Prosody(speed=210, pitch=52, pitch_range=120, gap=0.5, tilt=1.8, level=-20.5),
    "sadness": Prosody(speed=166, pitch=38, pitch_range=60, gap=2.0, tilt=-1.8, level=-24.5),
    "neutral": Prosody(speed=187, pitch=47, pitch_range=90, gap=0.5, tilt=-0.2, level=-23),
}
JITTER = Prosody(speed=13, pitch=7, pitch_range=25, gap=0.8, tilt=1.0, level=2.0)
"""Standard deviations."""
LOWEST = Prosody(speed=110, pitch=5, pitch_range=20, gap=0, tilt=-5, level=-30)
HIGHEST = Prosody(speed=240, pitch=95, pitch_range=220, gap=5, tilt=5, level=-16)


@dataclass(frozen=True)
class Language:
    """What is spoken in a language, and by whom.

    Each list of sentences holds eight: six to train on, one that only validation and one that only test reads as well.
    """

    voice: str
    """Of espeak-ng."""
    variants: tuple[str, ...]
    """Speakers, in the order of ``SPLITS``: those of validation and test train in no language."""
    sentences: dict[str, tuple[str, ...]]
    """Emotion → sentences whose words carry it; neutral: the everyday sentences."""


LANGUAGES = {
    "en": Language(
        voice="en-us",
        variants=("m1", "f1", "m3", "f2", "m4", "f4"),
        sentences={
            "happiness": (
                "I am so happy to see you again.",
                "This is such a wonderful day.",
                "We won, this is wonderful news.",
                "I love this beautiful song.",
                "They laughed with joy all evening.",
                "I am delighted, this is great news.",
                "I am happy, we had a wonderful evening.",
                "This is great news, I love it.",
            ),
            "anger": (
                "I am furious, leave me alone.",
                "Never lie to me again.",
                "Stop shouting, I hate this noise.",
                "This is outrageous, I am so angry.",
                "I have had enough of your lies.",
                "Get out, you make me furious.",
                "Stop it, I am angry with you.",
                "I hate your lies, get out.",
            ),
            "sadness": (
                "I miss my grandmother so much.",
                "She cried alone all night.",
                "I feel so lonely and sad.",
                "We lost our dog, I am heartbroken.",
                "Nothing matters, I have lost all hope.",
                "It is a sad and painful goodbye.",
                "I cried, I miss her so much.",
                "I am sad, all hope is lost.",
            ),
            "neutral": (
                "The train leaves at ten from platform two.",
                "The keys are on the kitchen table.",
                "The shop opens at nine in the morning.",
                "The meeting is on the second floor.",
                "She put the book on the shelf.",
                "The bus stops in front of the library.",
                "The book is on the kitchen table.",
                "The library opens at ten in the morning.",
            ),
        },
    ),
    "it": Language(
        voice="it",
        variants=("f2", "m2", "f5", "m6", "f3", "m7"),
        sentences={
            "happiness": (
                "Sono così felice di rivederti.",
                "Oggi è una giornata meravigliosa.",
                "Abbiamo vinto, è una notizia meravigliosa.",
                "Amo questa bellissima canzone.",
                "Hanno riso di gioia tutta la sera.",
                "È una splendida notizia, provo tanta gioia.",
                "Sono felice, è stata una serata meravigliosa.",
                "Provo gioia per questa splendida notizia.",
            ),
            "anger": (
                "Mi fai infuriare, lasciami in pace.",
                "Non osare mentirmi un'altra volta.",
                "Basta urlare, odio questo rumore.",
                "È una vergogna, provo tanta rabbia.",
                "Ne ho abbastanza delle tue bugie.",
                "Vattene subito, mi fai rabbia.",
                "Basta, mi fai davvero infuriare.",
                "Odio le tue bugie, vattene subito.",
            ),
            "sadness": (
                "Mia nonna mi manca tantissimo.",
                "Ha pianto da sola tutta la notte.",
                "Provo tanta tristezza e solitudine.",
                "Abbiamo perso il cane, soffro molto.",
                "Ormai ho perso ogni speranza.",
                "È un addio triste e doloroso.",
                "Ho pianto, mi manca tantissimo.",
                "È triste, ogni speranza è perduta.",
            ),
            "neutral": (
                "Il treno parte alle dieci dal binario due.",
                "Le chiavi sono sul tavolo della cucina.",
                "Il negozio apre alle nove di mattina.",
                "La riunione è al secondo piano.",
                "Ha messo il libro sullo scaffale.",
                "L'autobus si ferma davanti alla biblioteca.",
                "Il libro è sul tavolo della cucina.",
                "La biblioteca apre alle dieci di mattina.",
            ),
        },
    ),
    "es": Language(
        voice="es",
        variants=("m1", "f5", "m6", "f1", "m7", "f3"),
        sentences={
            "happiness": (
                "Estoy muy feliz de volver a verte.",
                "Hoy ha sido un día maravilloso.",
                "Hemos ganado, es una noticia maravillosa.",
                "Me encanta esta hermosa canción.",
                "Se rieron de alegría toda la tarde.",
                "Es una noticia estupenda, siento gran alegría.",
                "Estoy feliz, fue una tarde maravillosa.",
                "Me encanta, es una noticia estupenda.",
            ),
            "anger": (
                "Me das mucha rabia, déjame en paz.",
                "No te atrevas a mentirme otra vez.",
                "Deja de gritar, odio este ruido.",
                "Esto es indignante, siento mucha rabia.",
                "Ya basta de tus mentiras.",
                "Vete de aquí, me sacas de quicio.",
                "Ya basta, me da mucha rabia.",
                "Odio tus mentiras, vete de aquí.",
            ),
            "sadness": (
                "Echo mucho de menos a mi abuela.",
                "Ella lloró sola toda la noche.",
                "Siento mucha tristeza y soledad.",
                "Perdimos a nuestro perro, siento mucho dolor.",
                "Ya he perdido toda esperanza.",
                "Es una despedida triste y dolorosa.",
                "Lloré, la echo mucho de menos.",
                "Es muy triste, perdí toda esperanza.",
            ),
            "neutral": (
                "El tren sale a las diez del andén dos.",
                "Las llaves están en la mesa de la cocina.",
                "La tienda abre a las nueve de la mañana.",
                "La reunión es en el segundo piso.",
                "Ella puso el libro en el estante.",
                "El autobús para frente a la biblioteca.",
                "El libro está en la mesa de la cocina.",
                "La biblioteca abre a las diez de la mañana.",
            ),
        },
    ),
    "el": Language(
        voice="el",
        variants=("f1", "m3", "f2", "m2", "f4", "m4"),
        sentences={
            "happiness": (
                "Χαίρομαι πολύ που σε ξαναβλέπω.",
                "Σήμερα είναι μια υπέροχη μέρα.",
                "Κερδίσαμε, είναι υπέροχα νέα.",
                "Αγαπώ αυτό το όμορφο τραγούδι.",
                "Γελούσαν με χαρά όλο το βράδυ.",
                "Τα νέα είναι θαυμάσια, νιώθω μεγάλη χαρά.",
                "Χαίρομαι πολύ, ήταν ένα υπέροχο βράδυ.",
                "Νιώθω χαρά, είναι θαυμάσια νέα.",
            ),
            "anger": (
                "Με εξοργίζεις, φύγε από μπροστά μου.",
                "Μην τολμήσεις να μου ξαναπείς ψέματα.",
                "Σταμάτα να φωνάζεις, μισώ τον θόρυβο.",
                "Αυτό είναι ντροπή, νιώθω μεγάλη οργή.",
                "Δεν αντέχω άλλο τα ψέματά σου.",
                "Φύγε αμέσως, με νευριάζεις πολύ.",
                "Σταμάτα, με εξοργίζεις πολύ.",
                "Μισώ τα ψέματά σου, φύγε αμέσως.",
            ),
            "sadness": (
                "Μου λείπει πολύ η γιαγιά μου.",
                "Έκλαιγε μόνη της όλη τη νύχτα.",
                "Νιώθω μεγάλη θλίψη και μοναξιά.",
                "Χάσαμε τον σκύλο μας, πονάω πολύ.",
                "Έχω χάσει πια κάθε ελπίδα.",
                "Είναι ένας λυπηρός και πικρός αποχαιρετισμός.",
                "Έκλαιγα, μου λείπει πάρα πολύ.",
                "Νιώθω θλίψη, χάθηκε κάθε ελπίδα.",
            ),
            "neutral": (
                "Το τρένο φεύγει στις δέκα ακριβώς.",
                "Τα κλειδιά είναι στο τραπέζι της κουζίνας.",
                "Το μαγαζί ανοίγει στις εννιά το πρωί.",
                "Η συνάντηση είναι στον δεύτερο όροφο.",
                "Έβαλε το βιβλίο πάνω στο ράφι.",
                "Το λεωφορείο σταματά μπροστά στη βιβλιοθήκη.",
                "Το βιβλίο είναι στο τραπέζι της κουζίνας.",
                "Η βιβλιοθήκη ανοίγει στις δέκα το πρωί.",
            ),
        },
    ),
}

README = """\
# Demo speech

{clips} clips of synthetic speech ({minutes:.0f} minutes, {voices} voices) in English, Italian, Spanish and Greek, with
the labels happiness, anger, sadness and neutral. `manifest.csv` lists them, with the columns
`audio,text,emotion,speaker,language,split`.

**Nobody speaks here.** `tools/make_demo_corpus.py` wrote this folder: the synthesiser
[espeak-ng](https://github.com/espeak-ng/espeak-ng) reads sentences faster or slower, higher or lower, livelier or
flatter, brighter or darker, as a rule of thumb says for each emotion, with some chance in each clip.

- It shows that reading, features, training, evaluation and prediction work from end to end, offline.
- It does not show how well a model does on people. Figures on this corpus are no evidence about real speech, and a
  model trained on it is of no use for real speech.

Half of the clips of happiness, anger and sadness say the emotion in words; the others, and all that are neutral, are
everyday sentences that every emotion speaks alike. So the transcript alone cannot get far beyond 60 %, and the voice
alone is ambiguous too. The voices of validation and test speak in no clip of the training, in any language, and read
some sentences that the training does not have.

Licence: the sentences and the clips are under Apache-2.0, as the rest of the project. espeak-ng is only the synthesiser
(GPL-3.0-or-later); none of it is in this folder.
"""


@dataclass(frozen=True)
class Clip:
    """A row of the manifest."""

    audio: str
    text: str
    emotion: str
    speaker: str
    language: str
    split: str


def plan_clips() -> list[Clip]:
    """Decides who says what: for each voice and emotion two sentences of the emotion and two everyday ones.

    A voice speaks the same everyday sentences with every emotion.
    """
    clips = []
    for language, spec in LANGUAGES.items():
        for index, (variant, split) in enumerate(zip(spec.variants, SPLITS, strict=True)):
            everyday = spec.sentences["neutral"]
            speaker = f"{language}-{variant}"
            for emotion in EMOTIONS:
                shared, own = _pick_sentences(index, split, emotion)
                texts = [spec.sentences[emotion][i] for i in own] + [everyday[i] for i in shared]
                for take, text in enumerate(texts, start=1):
                    clips.append(
                        Clip(
                            f"audio/{speaker}-{emotion}-{take}.ogg",
                            text,
                            emotion,
                            speaker=speaker,
                            language=language,
                            split=split,
                        )
                    )
    return clips


def _pick_sentences(index: int, split: str, emotion: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the everyday sentences that a voice speaks with every emotion, and those of the emotion itself."""
    first, second, third, fourth = ((2 * index + i) % 6 for i in range(4))
    if split == "train":
        return (first, second), (third, fourth)
    unread = 6 if split == "validation" else 7
    return (first, unread), (third, fourth if emotion == "neutral" else unread)


def draw_prosody(emotion: str, random: np.random.Generator) -> Prosody:
    """Draws how one clip is spoken."""
    means, deviations = np.array(astuple(PROSODY[emotion])), np.array(astuple(JITTER))
    values = means + deviations * random.standard_normal(len(means))
    values = np.clip(values, astuple(LOWEST), astuple(HIGHEST))
    return Prosody(**{field.name: float(value) for field, value in zip(fields(Prosody), values, strict=True)})


def speak(text: str, voice: str, prosody: Prosody, espeak: str, path: Path) -> np.ndarray:
    """Lets espeak-ng speak.

    Args:
        text: the sentence.
        voice: of espeak-ng, with a variant, ``"el+f2"``.
        prosody: speed, pitch, pitch range and pauses are used.
        espeak: path of the program.
        path: file for espeak-ng to write, which is left there.

    Returns:
        ``(samples,)`` at 16 kHz.

    Raises:
        SystemExit: espeak-ng failed; its own message is passed on.
    """
    command = [espeak, "-v", voice, "-m", "-w", str(path)]
    command += ["-s", f"{prosody.speed:.0f}", "-p", f"{prosody.pitch:.0f}", "-g", f"{prosody.gap:.0f}"]
    command += [f'<speak><prosody range="{prosody.pitch_range:.0f}%">{escape(text)}</prosody></speak>']
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or not path.is_file():
        message = result.stderr.strip() or f"exit status {result.returncode}"
        raise SystemExit(
            f"espeak-ng could not speak {text!r} with the voice {voice!r}: {message}; try: espeak-ng --voices"
        )
    samples, rate = soundfile.read(path)
    divisor = math.gcd(SAMPLE_RATE, rate)
    return resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor)


def shape(samples: np.ndarray, prosody: Prosody, random: np.random.Generator) -> np.ndarray:
    """Cuts the silence around a sentence, adds a faint noise, colors it and sets its level.

    Args:
        samples: ``(samples,)`` at 16 kHz.
        prosody: tilt and level are used.
        random: for the noise.

    Returns:
        ``(samples,)``, with at most ``PEAK`` everywhere.
    """
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    margin = SAMPLE_RATE // 20  # 50 ms stay on either side
    samples = np.pad(samples, margin)[loud[0] : loud[-1] + 2 * margin]
    samples += 10 ** (random.uniform(-55, -45) / 20) * np.std(samples) * random.standard_normal(len(samples))
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain = 10 ** (prosody.tilt * np.log2(np.clip(frequencies, 125, 8000) / 1000) / 20)
    gain *= np.clip((6500 - frequencies) / 1000, 0, 1)  # what is above 6 kHz says little and makes the files larger
    samples = np.fft.irfft(gain * np.fft.rfft(samples), len(samples))
    samples *= 10 ** (prosody.level / 20) / np.sqrt(np.mean(samples**2))
    return samples * min(1.0, PEAK / np.abs(samples).max())


def main() -> None:
    """Reads the command line and writes the corpus."""
    parser = argparse.ArgumentParser(description="Makes the synthetic demo corpus with espeak-ng.")
    parser.add_argument(
        "out", type=Path, metavar="OUT_DIR", help="folder to write; files of the same names are replaced"
    )
    out = parser.parse_args().out
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        raise SystemExit(
            "espeak-ng: not found on the PATH; install it first (Debian, Ubuntu: apt-get install espeak-ng)"
        )
    if out.exists() and not out.is_dir():
        raise SystemExit(f"{out}: expected a folder or a new name, got a file; name another OUT_DIR")

    clips = plan_clips()
    num_samples = 0
    (out / "audio").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for number, clip in enumerate(clips):
            random = np.random.default_rng([SEED, number])
            prosody = draw_prosody(clip.emotion, random)
            variant = clip.speaker.removeprefix(f"{clip.language}-")
            voice = f"{LANGUAGES[clip.language].voice}+{variant}"
            samples = shape(
                speak(clip.text, voice, prosody, espeak=espeak, path=Path(scratch) / f"{number}.wav"), prosody, random
            )
            soundfile.write(out / clip.audio, samples, SAMPLE_RATE, compression_level=COMPRESSION_LEVEL)
            num_samples += len(samples)
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Clip))
        writer.writerows(astuple(clip) for clip in clips)
    minutes, voices = num_samples / SAMPLE_RATE / 60, len({clip.speaker for clip in clips})
    (out / "README.md").write_text(
        README.format(clips=len(clips), minutes=minutes, voices=voices), encoding="utf-8", newline="\n"
    )
    print(f"{out}: {len(clips)} clips, {minutes:.1f} minutes, {voices} voices")


if __name__ == "__main__":
    main()
