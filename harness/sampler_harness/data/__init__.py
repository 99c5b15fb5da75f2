"""Preprocessing under test and batches of data under test: what becomes of a frame before a model sees it."""
