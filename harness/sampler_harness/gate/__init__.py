"""What a pull request is held to: the deviations that are known, its own past, and what it touched."""
