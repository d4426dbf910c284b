"""What the world offers over time: availability, carbon intensity, devices, forecasts."""
