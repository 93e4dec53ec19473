"""How late answers are while somebody speaks, and how far they are from those of the file's timeline.

``python benchmarks/live.py MODEL RECORDING``; the recording is heard at the speed of speech.
"""

import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np
import soundfile
import torch

from pathosnet import PathosNet
from pathosnet.audio.reading import Incoming
from pathosnet.errors import InputError
from pathosnet.prediction.segmentation import Cutting
from pathosnet.prediction.timeline import predict_timeline

CHUNK_SECONDS = 0.1
WINDOW, HOP = 4.0, 1.0
RATES = (8000, 16_000, 44_100, 48_000)


def chunks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cuts samples into chunks."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def largest_difference(model: PathosNet, path: str, samples: np.ndarray, rate: int) -> float:
    """Compares all probabilities with the timeline's, for chunks of several sizes."""
    expected = list(predict_timeline(model, path, Cutting("windows", window_seconds=WINDOW, hop_seconds=HOP)))
    differences = []
    for seconds in (0.01, CHUNK_SECONDS, 7.0):
        stream = model.stream(rate, window_seconds=WINDOW, hop_seconds=HOP)
        for one, other in zip(stream.of(chunks(samples, round(seconds * rate))), expected, strict=True):
            values, others = one.prediction.values, other.prediction.values
            differences += [abs(values[label] - others[label]) for label in values]
    return max(differences)


def delays(model: PathosNet, samples: np.ndarray, rate: int) -> list[float]:
    """Measures how many seconds after the end of its window each answer comes."""
    stream, begin, fed, found = model.stream(rate, window_seconds=WINDOW, hop_seconds=HOP), time.monotonic(), 0, []
    for chunk in chunks(samples, round(CHUNK_SECONDS * rate)):
        fed += len(chunk)
        time.sleep(max(0.0, begin + fed / rate - time.monotonic()))  # it is there when its last sample was spoken
        found += [time.monotonic() - begin - segment.end for segment in stream.feed(chunk)]
    return found


def held_back(rate: int) -> float:
    """Measures how many seconds the change of the rate holds back at most."""
    incoming, fed, made, most = Incoming(rate), 0, 0, 0.0
    for _ in range(3000):
        made += len(incoming.add(np.zeros(rate // 1000)))
        fed += rate // 1000
        most = max(most, fed / rate - made / 16_000)
    return most


def main() -> None:
    """Prints the figures."""
    name, path = sys.argv[1:]
    torch.set_num_threads(1)
    model = PathosNet.from_pretrained(name)
    samples, rate = soundfile.read(path, dtype="int16")
    print(f"{name}, {rate} Hz: largest difference {largest_difference(model, path, samples, rate):.1g}")
    late = delays(model, samples, rate)
    print(f"answers after their windows: {statistics.median(late):.2f} s, at most {max(late):.2f} s, of {len(late)}")
    print("held back by the change of the rate:", ", ".join(f"{rate} Hz {held_back(rate):.3f} s" for rate in RATES))
    try:
        from pathosnet.audio.speech_detection import SpeechDetector

        detector, begin = SpeechDetector(), time.perf_counter()
    except InputError as error:
        print(error)
        return
    minute = torch.from_numpy(np.resize(samples.reshape(len(samples), -1)[:, 0], 60 * 16_000) / np.float32(2**15))
    for _ in detector.passing([minute]):
        pass
    print(f"finding speech in a minute of sound: {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
