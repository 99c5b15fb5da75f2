"""The change of a person's own code with which a sampler conforms."""
