"""The checks: each a small function over the evidence, one file per family."""
