"""Whole programs: the command line, the monitor, triage, the detail that a sampler keeps, the demo."""
