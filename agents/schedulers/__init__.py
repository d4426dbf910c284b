"""Handcrafted schedulers from the literature, one file each."""
