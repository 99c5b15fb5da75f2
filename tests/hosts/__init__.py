"""The harness in the repositories of others: their samplers, their tests, their environments."""
