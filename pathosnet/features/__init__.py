"""What the networks are fed with: spectrograms and word vectors. Nothing here is learned with them."""

from pathosnet.features.contextual_embedding import ContextualEmbedding, load_encoder
from pathosnet.features.hashed_words import HashedWords
from pathosnet.features.log_mel import log_mel_example_pieces, log_mel_examples, log_mel_frames
from pathosnet.features.silence import non_silent_intervals
from pathosnet.features.spectrogram import spectrogram_window_pieces, spectrogram_windows
from pathosnet.features.text_embedder import (
    SentenceEmbedding,
    TextEmbedder,
    TextTable,
    WordEmbedding,
    register_text_embedding,
)
from pathosnet.features.tokens import tokenize
from pathosnet.features.word_vectors import FastTextVectors, WordVectors

__all__ = [
    "ContextualEmbedding",
    "FastTextVectors",
    "HashedWords",
    "SentenceEmbedding",
    "TextEmbedder",
    "TextTable",
    "WordEmbedding",
    "WordVectors",
    "load_encoder",
    "log_mel_example_pieces",
    "log_mel_examples",
    "log_mel_frames",
    "non_silent_intervals",
    "register_text_embedding",
    "spectrogram_window_pieces",
    "spectrogram_windows",
    "tokenize",
]
