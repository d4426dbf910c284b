"""The packaged worlds of serving, one document each."""
