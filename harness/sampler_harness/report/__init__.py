"""What a verdict looks like: as text for a person, as JSON for a program. Reads verdicts, never samplers."""
