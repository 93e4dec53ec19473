"""Speech encoders: pre-trained transformers whose hidden states are acoustic features."""
