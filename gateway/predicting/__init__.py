"""The predictor as a process of its own: what serves it, what asks it, and the bytes between them."""
