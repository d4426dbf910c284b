"""The picture of an episode shows what happened, however short it was."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.evaluation import Timeline
from frugalfl.agents.reports import timeline_plot


def timeline(rounds: int) -> Timeline:
    """Two clients of two zones, both of which train in every round."""
    each = np.ones((rounds, 2))
    return Timeline(
        "x",
        0,
        np.arange(2),
        np.arange(rounds, dtype=float),
        np.ones(rounds),
        each > 0,
        each.astype(np.int8),
        0.5 * each,
        100 * each,
        np.linspace(0.5, 0.6, rounds),
    )


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_the_accuracy_of_every_round_is_seen(rounds, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(timeline_plot, "save_figure", lambda figure, path: drawn.append(figure))
    timeline_plot.plot_timeline(timeline(rounds), "toy", tmp_path / "x.png")
    (line,) = drawn[0].axes[2].lines
    assert line.get_ydata() == pytest.approx(np.linspace(50, 60, rounds))
    assert line.get_marker() == "."  # a line through one point is none
    assert line.get_xdata()[-1] == rounds
