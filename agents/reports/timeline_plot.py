"""The timeline of one episode: who was available, who trained, who was lost, and the grids' carbon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...common.arrays import AnyArray
from ...common.spelling import plain_text
from ..evaluation import IDLE, Timeline
from .palette import AVAILABLE, STATUSES, TRAINING_WORDS, WAITING, Words, zone_colour
from .plots import new_figure, save_figure

_LEAST_WIDTH = 1 / 220
"""Share of the time axis that a round takes at least, or short rounds of a long episode could not be seen."""


def plot_timeline(
    timeline: Timeline, world: str, path: Path, zones: tuple[str, ...] = (), words: Words = TRAINING_WORDS
) -> None:
    """Draw one episode into a PNG.

    Args:
        timeline: what happened.
        world: for the title.
        path: of the picture.
        zones: names of the grid zones; empty: numbers.
        words: of its class of worlds.
    """
    clients = timeline.zone.size
    rows_height = min(0.11 * clients, 6.0)
    figure: Figure = new_figure(11.0, 4.2 + rows_height)
    heights = (2.2 + rows_height, 1.5, 1.0)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    names = [zones[z] if z < len(zones) else f"zone {z}" for z in range(timeline.carbon.shape[1])]
    _draw_clients(top, timeline, names, words)
    _draw_carbon(middle, timeline, names)
    starts = np.append(timeline.start_h, timeline.start_h[-1] + timeline.duration_h[-1])
    # The dots show a run of one round, which is no line.
    bottom.step(starts[1:], 100 * timeline.accuracy, where="post", color="black", lw=1.4, marker=".")
    bottom.set(
        ylabel=f"{words.accuracy.replace(' ', chr(10), 1)} [%]", xlabel="time since the episode began [h]"
    )
    bottom.grid(alpha=0.25)
    bottom.set_xlim(0, max(float(starts[-1]), 1e-3))
    title = f"{world}, episode {timeline.episode}, decided by {timeline.scheduler}"
    figure.suptitle(plain_text(title), x=0.01, ha="left")
    save_figure(figure, path)


def _draw_clients(axes: Axes, timeline: Timeline, names: list[str], words: Words) -> None:
    order = np.argsort(timeline.zone, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    total_h = float(timeline.start_h[-1] + timeline.duration_h[-1])
    available = [
        _box(place[k], timeline.start_h[r], timeline.duration_h[r], 0.46)
        for r, k in zip(*np.nonzero(timeline.available), strict=True)
    ]
    axes.add_collection(PolyCollection(available, facecolors=AVAILABLE.light, edgecolors="none"))
    handles = [Patch(color=AVAILABLE.light, label="available")]
    for code, status in STATUSES.items():
        boxes = []
        for r, k in zip(*np.nonzero(timeline.status == code), strict=True):
            width = min(max(timeline.busy_h[r, k], _LEAST_WIDTH * total_h), max(timeline.duration_h[r], 1e-9))
            boxes.append(_box(place[k], timeline.start_h[r], width, 0.36))
        axes.add_collection(
            PolyCollection(boxes, facecolors=status.tone.light, edgecolors="white", linewidths=0.3)
        )
        handles.append(Patch(color=status.tone.light, label=f"{words.statuses[code]} ({len(boxes)})"))
    idle = (timeline.status == IDLE).all(axis=1) & (timeline.duration_h > 0)
    for start, duration in zip(timeline.start_h[idle], timeline.duration_h[idle], strict=True):
        axes.axvspan(start, start + duration, facecolor="none", edgecolor=WAITING.light, hatch="////", lw=0)
    handles.append(
        Patch(facecolor="none", edgecolor=WAITING.light, hatch="////", label=f"{words.nobody} ({idle.sum()})")
    )
    axes.set_ylim(order.size - 0.4, -0.6)
    _mark_zones(axes, timeline.zone[order], names)
    axes.set_ylabel(f"{words.element}s by zone", labelpad=14)
    axes.legend(
        handles=handles, ncols=5, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False
    )


def _mark_zones(axes: Axes, zones: AnyArray, names: list[str]) -> None:
    ticks = []
    for zone, name in enumerate(names):
        rows = np.flatnonzero(zones == zone)
        if rows.size:
            ticks.append((rows.mean(), name))
            axes.axhline(rows[-1] + 0.5, color="black", lw=0.5, alpha=0.6)
    axes.set_yticks([row for row, _ in ticks], [plain_text(name, 40) for _, name in ticks])
    for tick, (_, name) in zip(axes.get_yticklabels(), ticks, strict=True):
        tick.set_color(zone_colour(names.index(name)))


def _draw_carbon(axes: Axes, timeline: Timeline, names: list[str]) -> None:
    starts = np.append(timeline.start_h, timeline.start_h[-1] + timeline.duration_h[-1])
    for zone, name in enumerate(names):
        values = np.append(timeline.carbon[:, zone], timeline.carbon[-1, zone])
        axes.step(starts, values, where="post", color=zone_colour(zone), lw=1.5, label=plain_text(name, 40))
    axes.set(ylabel="grid intensity\n[g CO2e/kWh]", ylim=(0, 1.1 * float(timeline.carbon.max()) + 1e-9))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.grid(alpha=0.25)


def _box(row: float, start: float, width: float, half: float) -> list[tuple[float, float]]:
    end = start + width
    return [(start, row - half), (end, row - half), (end, row + half), (start, row + half)]
