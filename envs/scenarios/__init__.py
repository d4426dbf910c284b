"""Scenario files: one YAML per world, read by `frugalfl.envs.scenario`."""
