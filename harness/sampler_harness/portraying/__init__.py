"""What a page draws of a sampler, measured in runs of its own. It reads findings and never makes one."""
