"""Grids: which levels a sampler visits, from the noisiest to the data. Each names its convention's source."""
