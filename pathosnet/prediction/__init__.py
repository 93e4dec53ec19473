"""Predictions for many recordings and for long ones: inputs, segments, captions, tables, pictures."""
