"""Samplers of other packages, as subjects: the loop that runs them and the reference that each one claims to be."""
