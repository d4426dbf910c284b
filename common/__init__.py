"""What two packages or more need: arrays, units, settings, registries, files. It knows nobody above it."""
