"""Acoustic features: front ends, and the extractors that run backbones over recordings."""
