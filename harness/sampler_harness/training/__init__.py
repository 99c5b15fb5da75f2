"""A training step under test: what it adds, what it predicts, how it weighs, and whether sampling means the same."""
