"""The reinforcement-learning face: worlds, scenarios, spaces, rewards, rendering, registration."""
