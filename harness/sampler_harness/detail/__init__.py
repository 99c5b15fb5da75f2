"""How much detail is there: spectra, what a sampler keeps of them, and how that changes while a model is trained."""
