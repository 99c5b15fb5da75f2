"""Processes: how much signal and noise x holds at a level, what the model is told there, and what it predicts."""
