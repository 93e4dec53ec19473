"""Predictions of many recordings and of long ones: what to predict, in which pieces, and how to write it down."""
