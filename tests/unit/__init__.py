"""Small tests, each of one room of the harness or of one reference."""
