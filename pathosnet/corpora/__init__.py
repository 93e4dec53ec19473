"""Labelled recordings: the manifest that lists them, and the parts that they are divided into."""

from pathosnet.corpora.manifest import Corpus, Utterance, read_manifest
from pathosnet.corpora.splits import Split, split_corpus

__all__ = ["Corpus", "Split", "Utterance", "read_manifest", "split_corpus"]
