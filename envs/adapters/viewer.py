"""Pictures of one episode: who was available, who trained and how clean the grid was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ...common.arrays import Bools, Floats, Ints
from ..contract import StepResult, World

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RENDER_MODES = ("ansi", "rgb_array")
RENDER_FPS = 4

AWAY, AVAILABLE, COMPLETED, LOST, CANCELLED = range(5)
STATE_NAMES = ("away", "available", "trained", "lost", "cancelled")
STATE_COLOURS = ("#f2f2f2", "#c9d8e8", "#2a9d5c", "#d1495b", "#edae49")
_GLYPHS = ".o#x~"
_ZONE_COLOURS = ("#1b6ca8", "#c2571a", "#5b8c3e", "#8e5ea2", "#b8860b", "#3aa6a6", "#a83253", "#666666")
_ABOVE: Mapping[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 1.0),
    "borderaxespad": 0.1,
    "fontsize": 7,
    "frameon": False,
}
"""A legend where it hides nobody."""


class Viewed(World, Protocol):
    """What a viewer looks at: a world that says who is there, at work or not."""

    @property
    def available(self) -> Bools:
        """Bool `[E, N]`, whose session runs."""
        ...


class Viewers:
    """The pictures of E environments; nothing is remembered where no render mode is given.

    Args:
        world: where they are played.
        num_envs: E.
        render_mode: None, "ansi" or "rgb_array".
        viewer_type: what draws one environment; None: `Viewer`.

    Raises:
        ValueError: another render mode.
    """

    def __init__(
        self,
        world: Viewed,
        num_envs: int,
        render_mode: str | None,
        viewer_type: type[Viewer] | None = None,
    ):
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode: {render_mode!r}, expected one of {list(RENDER_MODES)}")
        self._text = render_mode == "ansi"
        drawn = Viewer if viewer_type is None else viewer_type
        self._viewers = [] if render_mode is None else [drawn(world, env) for env in range(num_envs)]

    def begin(self, envs: Bools) -> None:
        """New episodes have begun in the rows of `envs`."""
        for viewer, begins in zip(self._viewers, envs, strict=False):
            if begins:
                viewer.begin()

    def record(self, result: StepResult) -> None:
        """Enter the step that was just made, where an episode was running."""
        for viewer, active in zip(self._viewers, result.active, strict=False):
            if active:
                viewer.record(result)

    def frames(self) -> list[str | NDArray[np.uint8]]:
        """Of every environment, a page of text or an RGB image `[H, W, 3]`; empty without a render mode."""
        return [viewer.text() if self._text else viewer.image() for viewer in self._viewers]


class Viewer:
    """Remembers one environment's episode and draws it.

    Args:
        world: where it is played.
        env: row of the environment in the world.

    Attributes:
        elements: what stands in the rows of the picture.
        state_names: of the states that they can be in.
        state_colours: of these.
    """

    elements: ClassVar[str] = "client"
    state_names: ClassVar[tuple[str, ...]] = STATE_NAMES
    state_colours: ClassVar[tuple[str, ...]] = STATE_COLOURS

    def __init__(self, world: Viewed, env: int = 0):
        self._world = world
        self._env = env
        self.begin()

    def begin(self) -> None:
        """Forget the last episode."""
        self._states: list[Ints] = []
        self._hours: list[float] = [0.0]
        self._accuracy: list[float] = [self._totals()["accuracy"]]
        self._carbon: list[Floats] = []
        self._terms = np.zeros(len(self._world.scenario.reward_terms))
        self._note_situation()

    def add_points(self, terms: Mapping[str, float]) -> None:
        """Count points, by the names of the terms, of a step that another viewer has seen."""
        self._terms = self._terms + np.array([terms[name] for name in self._world.scenario.reward_terms])

    def record(self, result: StepResult) -> None:
        """Enter the step that was just made."""
        self._states.append(self._states_after(result))
        self._carbon.append(self._carbon_now)
        self._hours.append(self._hours_now())
        self._accuracy.append(float(result.outcome.accuracy[self._env]))
        self._terms = self._terms + result.terms[self._env]
        self._note_situation()

    def text(self) -> str:
        """The present round as a page of text."""
        totals = self._totals()
        states = self._states[-1] if self._states else self._before
        zones = zip(self._world.zone_names, self._carbon_now, strict=True)
        names = self._world.scenario.reward_terms
        terms = "  ".join(f"{name} {value:+.2f}" for name, value in zip(names, self._terms, strict=True))
        return "\n".join(
            [
                f"{self._world.scenario.name}  {self._progress(totals)}  hour {self._hours_now():.2f}  "
                f"accuracy {100 * totals['accuracy']:.1f} %  net {totals['net_points']:+.2f} points",
                f"{self.elements + 's':<9}" + "".join(_GLYPHS[state] for state in states),
                "         " + "  ".join(f"{g} {n}" for g, n in zip(_GLYPHS, self.state_names, strict=True)),
                "carbon   " + "  ".join(f"{name} {value:.0f} g/kWh" for name, value in zones),
                f"spent    {totals['gigabytes']:.2f} GB  {totals['kilowatt_hours']:.3f} kWh  "
                f"{totals['kilograms']:.3f} kg CO2e  {self._wasted(totals)}",
                f"points   {terms}",
                "",
            ]
        )

    def image(self) -> NDArray[np.uint8]:
        """The episode so far as an RGB image `[600, 960, 3]`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.6, 6.0), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        figure.suptitle(self._title(), x=0.01, ha="left", fontsize=10)
        clients, carbon, accuracy = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.3, 1.3])
        self._draw_clients(clients)
        self._draw_carbon(carbon)
        self._draw_accuracy(accuracy)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()

    def _states_after(self, result: StepResult) -> Ints:
        """`[N]`, what became of everybody in the step that was just made."""
        outcome, states = result.outcome, self._before.copy()
        for state, who in (
            (COMPLETED, outcome.completed),
            (LOST, outcome.lost),
            (CANCELLED, outcome.cancelled),
        ):
            states[who[self._env]] = state
        return states

    def _hours_now(self) -> float:
        return self._totals()["hours"]

    def _progress(self, totals: Mapping[str, float]) -> str:
        return f"round {totals['rounds']:.0f}"

    def _wasted(self, totals: Mapping[str, float]) -> str:
        return f"wasted {100 * totals['wasted_share']:.0f} %"

    def _note_situation(self) -> None:
        """Note who is available and how clean the grid is, before the next decision."""
        self._before = np.where(self._world.available[self._env], AVAILABLE, AWAY)
        self._carbon_now = self._world.situation().zones.carbon_g_per_kwh[self._env]

    def _draw_clients(self, axes: Axes) -> None:
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        if self._states:
            grid = np.array(self._states).T
            edges = np.array(self._hours)
            rows = np.arange(grid.shape[0] + 1) - 0.5
            axes.pcolormesh(edges, rows, grid, cmap=ListedColormap(self.state_colours), vmin=-0.5, vmax=4.5)
        axes.set_ylabel(self.elements)
        axes.set_ylim(-0.5, self._before.size - 0.5)
        handles = [Patch(color=c, label=n) for c, n in zip(self.state_colours, self.state_names, strict=True)]
        axes.legend(handles=handles, ncols=5, **_ABOVE)

    def _draw_carbon(self, axes: Axes) -> None:
        for index, zone in enumerate(self._world.zone_names):
            values = [row[index] for row in self._carbon]
            colour = _ZONE_COLOURS[index % len(_ZONE_COLOURS)]
            axes.plot(self._hours[: len(values)], values, lw=1.3, label=zone, color=colour)
        axes.set_ylabel("g CO2e/kWh")
        axes.set_ylim(bottom=0)
        axes.legend(ncols=8, **_ABOVE)

    def _draw_accuracy(self, axes: Axes) -> None:
        axes.plot(self._hours, 100 * np.array(self._accuracy), color="#2a9d5c", lw=1.6)
        axes.set_ylabel("accuracy %")
        axes.set_ylim(0, 100)
        axes.set_xlabel("hours since the run began")
        axes.set_xlim(0.0, max(self._hours[-1], 1.0))

    def _title(self) -> str:
        totals = self._totals()
        return (
            f"{self._world.scenario.name}: {self._progress(totals)}, "
            f"accuracy {100 * totals['accuracy']:.1f} %, "
            f"{totals['kilograms']:.2f} kg CO2e, {totals['gigabytes']:.1f} GB, "
            f"net {totals['net_points']:+.1f} points"
        )

    def _totals(self) -> dict[str, float]:
        return {name: float(values[self._env]) for name, values in self._world.totals().items()}
