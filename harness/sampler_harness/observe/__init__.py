"""Observe a sampler: replace its two openings (model calls and Gaussian draws) and write down what passes."""
