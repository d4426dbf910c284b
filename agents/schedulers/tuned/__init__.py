"""Settings tuned per world."""
