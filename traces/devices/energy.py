"""What answering a request costs by batch size: the energy leaderboard of ML.ENERGY as its JSON has it.

One file per task (`public/data/tasks/*.json` of github.com/ml-energy/leaderboard); measured in the steady
state, over all GPUs of a server and nothing else of it (Chung et al. 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...common.arrays import AnyArray, Floats
from ..formats.parsing import brief, line_of, read_json

_LLM = ("avg_batch_size", "energy_per_request_joules", "median_itl_ms")
_ENERGY_OF = ("energy_per_image_joules", "energy_per_video_joules")
_LAYOUTS = ("tensor_parallel", "expert_parallel", "data_parallel", "ulysses_degree", "ring_degree")
# Beyond, the unit is another one: a request for a microjoule or a gigajoule, batches of a million.
_LIMITS = {"batch": (1e-3, 1e6), "joules": (1e-6, 1e9), "ms": (1e-3, 1e9), "watts": (1e-3, 1e6)}
# One point alone shows no slope; between the ends of the language models' curves it is -.45 to -.57.
_USUAL_SLOPE = -0.5


@dataclass(frozen=True)
class EnergyProfile:
    """What one model costs on one kind of server, by how many requests it answers at once."""

    model: str
    gpu: str
    num_gpus: int
    layout: str  # how the model is spread over the GPUs
    batch: Floats  # [K] requests answered at once, their mean over the measurement; ascending
    joules_per_request: Floats  # [K]
    latency_ms: Floats  # [K] from a request's start to the end of its answer
    watts: Floats  # [K] of all GPUs together
    billion_parameters: float
    source: str = ""  # file and task

    def joules(self, batch: AnyArray | float) -> Floats:
        """Energy per request at any batch size: a power law between the measured ones, exact at them.

        Below the smallest the first two tell how it goes on; above the largest its energy holds.
        """
        return self._between(self.joules_per_request, batch, _USUAL_SLOPE)

    def latency(self, batch: AnyArray | float) -> Floats:
        """Milliseconds that an answer takes, by the same rule."""
        return self._between(self.latency_ms, batch, 0.0)

    def _between(self, values: Floats, batch: AnyArray | float, slope_alone: float) -> Floats:
        wanted = np.minimum(np.asarray(batch, dtype=np.float64), self.batch[-1])
        place = np.clip(np.searchsorted(self.batch, wanted, side="right") - 1, 0, self.batch.size - 1)
        slopes = np.diff(np.log(values)) / np.diff(np.log(self.batch))
        if not slopes.size:
            slopes = np.array([slope_alone])
        slope = slopes[np.minimum(place, slopes.size - 1)]
        return np.asarray(values[place] * (wanted / self.batch[place]) ** slope)


def is_energy_file(head: str) -> bool:
    """Whether a file begins as the leaderboard's JSON of a task does."""
    return '"configurations"' in head and '"energy_per_' in head


def read_energy(path: str | Path) -> tuple[EnergyProfile, ...]:
    """The profiles in a file of the leaderboard, one for each model, GPU, number of GPUs and layout.

    Where a layout was measured twice at one batch size, the measurement that took less energy counts.

    Raises:
        ValueError: one line, if it is none, or holds what cannot be measured.
    """
    document = read_json(path)
    rows = document.get("configurations") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: no configurations, expected a task's JSON of the ML.ENERGY leaderboard")
    task = brief(str(document.get("task", "")) if isinstance(document, dict) else "")
    points: dict[tuple[str, str, int, str], dict[float, tuple[float, float, float, float]]] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(
                f"{path}:{line_of(path, 'configurations', index)}: {brief(row)}, expected a measurement"
            )
        try:
            key, batch, cost = _point(row)
        except ValueError as error:
            line = line_of(path, "configurations", index)
            raise ValueError(f"{path}:{line}: {error}") from None
        known = points.setdefault(key, {})
        if batch not in known or cost[0] < known[batch][0]:
            known[batch] = cost
    profiles = []
    for (model, gpu, count, layout), found in points.items():
        order = sorted(found)
        columns = np.array([found[batch] for batch in order])
        profiles.append(
            EnergyProfile(
                model,
                gpu,
                count,
                layout,
                np.array(order),
                columns[:, 0].copy(),
                columns[:, 1].copy(),
                columns[:, 2].copy(),
                billion_parameters=float(columns[0, 3]),
                source=f"{path} ({task})",
            )
        )
    return tuple(profiles)


def _point(
    row: Mapping[str, object],
) -> tuple[tuple[str, str, int, str], float, tuple[float, float, float, float]]:
    """Whose measurement it is, its batch size, and joules, milliseconds, watts and parameters."""
    if all(name in row for name in _LLM):
        batch = _number(row, "avg_batch_size", "batch")
        joules = _number(row, "energy_per_request_joules", "joules")
        each_ms = _number(row, "median_itl_ms", "ms")
        ms = each_ms * _number(row, "avg_output_len", "batch")
    else:
        name = next((name for name in _ENERGY_OF if name in row), None)
        if name is None:
            raise ValueError(f"no {_LLM[1]}, expected it or one of {', '.join(_ENERGY_OF)}")
        batch, joules = _number(row, "batch_size", "batch"), _number(row, name, "joules")
        ms = 1000.0 * _number(row, "batch_latency_s", "ms")
    gpus = _number(row, "num_gpus", "batch")
    if gpus != int(gpus):
        raise ValueError(f"num_gpus is {gpus:g}, expected a whole number")
    layout = ", ".join(f"{name} {row[name]}" for name in _LAYOUTS if isinstance(row.get(name), int))
    key = (_word(row, "model_id"), _word(row, "gpu_model"), int(gpus), layout)
    return key, batch, (joules, ms, _number(row, "avg_power_watts", "watts"), _parameters(row))


def _parameters(row: Mapping[str, object]) -> float:
    return _number(row, "total_params_billions", "batch") if "total_params_billions" in row else float("nan")


def _number(row: Mapping[str, object], name: str, what: str) -> float:
    value = row.get(name)
    low, high = _LIMITS[what]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is {brief(value)}, expected a number from {low:g} to {high:g}")
    return float(value)


def _word(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 200:
        raise ValueError(f"{name} is {brief(value)}, expected a name")
    return value


def profile_of(
    profiles: Sequence[EnergyProfile], model: str, gpu: str | None = None, num_gpus: int | None = None
) -> EnergyProfile:
    """The profile of a model that takes the least energy at its best, of those that match.

    Args:
        profiles: of a file.
        model: its full name, or the part behind the slash.
        gpu: only on this one.
        num_gpus: only on so many.

    Raises:
        ValueError: none matches, with what there is.
    """
    matching = [
        one
        for one in profiles
        if model in (one.model, one.model.rsplit("/", 1)[-1])
        and gpu in (None, one.gpu)
        and num_gpus in (None, one.num_gpus)
    ]
    if not matching:
        have = ", ".join(sorted({f"{one.model} on {one.num_gpus} {one.gpu}" for one in profiles}))
        asked = f"{model} on {num_gpus or 'any number of'} {gpu or 'GPUs'}"
        raise ValueError(f"energy: {asked} was not measured, expected one of {have[:1000]}")
    return min(matching, key=lambda one: float(one.joules_per_request.min()))
