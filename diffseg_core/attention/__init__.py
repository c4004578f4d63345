"""A model's self-attention: which layers, at which size, gathered, kept, aggregated (paper, section 3.2)."""
