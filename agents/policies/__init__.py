"""Learned policies for Stable-Baselines3 that treat clients as a set."""
