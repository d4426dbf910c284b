"""A concave curve of accuracy over useful work, fitted while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....common.arrays import AnyArray, Bools, Floats

_LEAST_RATE = 1e-4


class GainCurve:
    """Accuracy A rises by (plateau - A) (1 - exp(-rate w)) with w units of useful work.

    Plateau and rate start from priors and are refitted after every round by weighted least squares on
    gain / work = rate x plateau - rate x A, with the priors as pseudo-observations. What the validation set
    shows is noisy, the more so the fewer clients train: a constant-gain filter follows its level.

    Args:
        state: where the arrays of E environments live, see `fresh`.
        plateau: prior, accuracy in points.
        rate: prior, per unit of work.
        trust: weight of the prior, in rounds.
        gain: of the filter; 1 believes every measurement.
    """

    def __init__(self, state: Mapping[str, AnyArray], plateau: float, rate: float, trust: float, gain: float):
        self._state = state
        self._plateau, self._rate, self._trust, self._gain = plateau, rate, trust, gain

    @staticmethod
    def fresh(num_envs: int) -> dict[str, Floats]:
        """The arrays `[E]` of new environments: normal equations, level, noise, and the last work."""
        keys = ("fit_w", "fit_wx", "fit_wxx", "fit_wy", "fit_wxy", "noise", "seen")
        start = {key: np.zeros(num_envs) for key in keys}
        return start | {"level": np.full(num_envs, np.nan), "work": np.full(num_envs, np.nan)}

    def observe(self, accuracy: Floats) -> None:
        """Take in the accuracy `[E]`, in points, that the last round's `work` led to; nan: no round."""
        state = dict(self._state)
        first = np.isnan(state["level"])
        level = np.where(first, accuracy, state["level"])
        moved = ~first & np.isfinite(state["work"])
        work = np.where(moved, state["work"], 0.0)
        expected = level + self.gained(level, work)
        surprise = np.where(moved, accuracy - expected, 0.0)
        effective = np.maximum(-np.expm1(-self._rate * work) / self._rate, 1e-9)
        weight = np.where(moved, effective**2, 0.0)
        slope = np.where(moved, (accuracy - level) / effective, 0.0)
        terms = {"fit_w": weight, "fit_wx": weight * level, "fit_wxx": weight * level**2}
        terms |= {"fit_wy": weight * slope, "fit_wxy": weight * slope * level}
        for key, term in terms.items():
            self._state[key][:] = state[key] + term
        seen = state["seen"] + moved
        share = 1.0 / np.maximum(seen, 1.0)
        noise = state["noise"] + np.where(moved, np.maximum(share, 0.1) * (surprise**2 - state["noise"]), 0.0)
        self._state["noise"][:], self._state["seen"][:] = noise, seen
        self._state["level"][:] = np.where(moved, expected + self._gain * surprise, level)
        self._state["work"][:] = np.nan

    def expect(self, work: Floats, trained: Bools) -> None:
        """Remember the work `[E]` ordered now, where anybody trains."""
        self._state["work"][:] = np.where(trained, work, np.nan)

    def fitted(self) -> tuple[Floats, Floats]:
        """Plateau and rate `[E]`."""
        state, weight = self._state, self._trust
        # Pseudo-observations of the prior line at two levels, one half and all of the plateau.
        low, high = 0.5 * self._plateau, self._plateau
        n = state["fit_w"] + weight
        x = state["fit_wx"] + weight * 0.5 * (low + high)
        xx = state["fit_wxx"] + weight * 0.5 * (low**2 + high**2)
        y = state["fit_wy"] + weight * 0.5 * self._rate * (self._plateau - low)
        xy = state["fit_wxy"] + weight * 0.5 * self._rate * (self._plateau - low) * low
        slope = (n * xy - x * y) / np.maximum(n * xx - x * x, 1e-9)
        rate = np.clip(-slope, 0.3 * self._rate, 3.0 * self._rate)
        plateau = (y + rate * x) / np.maximum(n * rate, 1e-12)
        return np.clip(plateau, 0.0, 100.0), np.maximum(rate, _LEAST_RATE)

    def gained(self, level: Floats, work: Floats) -> Floats:
        """Points to be expected from `work` at `level`; both `[E, ...]`, the fit broadcast over the rest."""
        plateau, rate = self.fitted()
        shape = (-1,) + (1,) * (np.ndim(work) - 1)
        left = np.maximum(plateau.reshape(shape) - level, 0.0)
        return -left * np.expm1(-rate.reshape(shape) * work)

    @property
    def level(self) -> Floats:
        """Filtered accuracy `[E]`, in points."""
        return np.array(self._state["level"])

    @property
    def noise(self) -> Floats:
        """Deviation `[E]` of what is measured from what was expected, in points."""
        return np.sqrt(self._state["noise"])
