"""Policies of serving: which model where, whose answers are checked, what waits."""
