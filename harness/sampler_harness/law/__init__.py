"""The law of a sampler: its measured response, the factor that decides equality, and how far off is too far."""
