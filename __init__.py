"""frugalfl: schedule a real federated training run on volatile resources."""

__version__ = "0.1.0"
