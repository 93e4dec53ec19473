"""Recordings as waveforms: reading, degradation, augmentation."""
