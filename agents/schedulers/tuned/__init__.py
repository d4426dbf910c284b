"""Settings tuned per world, written by `python -m frugalfl.agents.tuning`; each file names its command."""
