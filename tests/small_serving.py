"""A small scenario of serving for tests: few machines, short days, quickly trained models."""

from frugalfl.envs.serving import load_serving

SMALL = {
    "name": "small",
    "machines": [
        {
            "hardware": "gpu",
            "machines": 1,
            "slots": 2,
            "reference_factor": 2.0,
            "reference_watts": 450,
            "devices": {"kind": "gpus", "h100": 0, "a100": 0, "rtx4090": 1, "v100": 0},
        },
        {
            "hardware": "cpu",
            "machines": 4,
            "devices": {"kind": "volunteers", "laptop": 0.4, "desktop": 0.6, "gpu": 0},
        },
    ],
    "zones": 2,
    "availability": {"kind": "volunteers", "longest_h": 2.0, "announced_share": 0.3, "sudden_per_h": 0.5},
    "carbon": ["GB", "US-CAL-CISO"],
    "arrivals": {"kind": "poisson", "per_hour": 600, "zipf": 1.2, "rerank_h": 2},
    "models": {"steps": 60, "copies": 2},
    "hub": {"share": 0.4},
    "preferences": {"points_per_ms": 0.003, "price_per_gb": 0.05, "price_per_kg": 2.0},
    "hours": 4,
    "deadline_h": 1,
}


def small(**changes):
    """The scenario with some fields replaced."""
    return load_serving(SMALL, **changes)


STAYING = {"availability": {"kind": "stays", "on_mean_h": 1000.0, "off_mean_h": 0.1}}
"""Machines that hardly ever leave."""
