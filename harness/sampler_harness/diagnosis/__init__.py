"""When laws differ: the edit of the reference that explains it, shown as a diff against the paper."""
