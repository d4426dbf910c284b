"""Climatology: clients' availability by hour of day, as it is learned from a finite past."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats, Floats32
from .climatology_kernels import rows_by_utc_hour

# Factors on the odds over which a profile's mean is tabulated; wide enough for any share seen.
_ODDS = np.exp(np.linspace(-12.0, 12.0, 241))


def odds_shifted(profile: Floats, odds: Floats) -> Floats:
    """A profile `[P]` of shares with its odds multiplied by `odds` `[N]`, giving `[N, P]`."""
    raised = odds[:, None] * (profile / (1.0 - profile))[None, :]
    return raised / (1.0 + raised)


class ProfileShape:
    """The shape of an hour-of-day profile, to be moved to any mean.

    Args:
        profile: `[24]`, P(available) by local hour, within (0, 1).
    """

    def __init__(self, profile: Floats):
        self.profile = np.clip(np.asarray(profile, dtype=np.float64), 1e-4, 1.0 - 1e-4)
        self._means = odds_shifted(self.profile, _ODDS).mean(axis=1)

    def with_mean(self, mean: Floats) -> Floats:
        """`[N, 24]`: the shape with its odds multiplied so that each row has the mean `mean` `[N]`."""
        odds = np.exp(np.interp(mean, self._means, np.log(_ODDS)))
        return odds_shifted(self.profile, odds)


def remembered_mean(
    mean: Floats, prior: tuple[float, float], looks: float, rng: np.random.Generator
) -> Floats:
    """Each client's own mean as it is estimated from a finite past, `[N]`.

    The share seen is a Beta draw around the true one with as much information as `looks` independent
    observations; it is shrunk towards the population's Beta law, as a Bayesian would.

    Args:
        mean: `[N]`, the true shares.
        prior: Beta(a, b) of the population.
        looks: days observed x 24 h over twice the relaxation time.
        rng: the only source of chance.
    """
    a, b = prior
    safe = np.minimum(np.maximum(mean, 1e-3), 1.0 - 1e-3)
    seen = rng.beta(safe * looks, (1.0 - safe) * looks)
    return (a + looks * seen) / (a + b + looks)


def by_utc_hour(profile: Floats, offset_h: Floats) -> Floats32:
    """Rows `[N, 24]` by local hour turned into rows by UTC hour, float32 `[N, 24]`.

    Args:
        profile: `[N, 24]` by local hour.
        offset_h: `[N]`, hours local clocks are ahead of UTC; half hours are interpolated.
    """
    rows: Floats32 = rows_by_utc_hour(profile, np.asarray(offset_h, dtype=np.float64))
    return rows
