"""Why are my details fading: data, training, sampler and capacity in that order, and the experiment that decides."""
