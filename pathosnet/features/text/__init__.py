"""Text features: tokens, word vectors, contextual encoders."""
