"""What is known to be right or wrong, and the verdict on it: faults, sound ones, released programs."""
