"""Experiments on a corpus: train, evaluate, fine-tune, cross-validate, tune, test robustness."""
