"""Labelled recordings: the manifest that lists them, and the parts that they are divided into."""

from pathosnet.corpora.folds import make_folds, split_corpus
from pathosnet.corpora.manifest import Corpus, Utterance, read_manifest
from pathosnet.corpora.splits import Split

__all__ = ["Corpus", "Split", "Utterance", "make_folds", "read_manifest", "split_corpus"]
