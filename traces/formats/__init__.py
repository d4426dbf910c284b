"""Readers of trace files as their providers publish them."""
