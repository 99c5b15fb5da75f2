"""What is this sampler? From its law to the process, grid, method and fields that have it."""
