"""Differential privacy at the server: clipped updates, Gaussian noise, and what that is worth.

McMahan et al., "Learning Differentially Private Recurrent Language Models" (ICLR 2018), with a fixed
denominator. The accounting is done by an existing library, `dp_accounting`.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from ...common.arrays import AnyArray, Bools, Floats
from ...common.settings import Settings
from ..numerics import uniform_bits, weighted_sums
from .base import AGGREGATORS, Aggregator, Arrivals, DType
from .robust import clip_factors

# Separates the noise from the minibatches drawn with the same seed.
_NOISE_STREAM = 0x6E6F6973


@AGGREGATORS.register("gaussian")
class GaussianMechanism(Aggregator):
    """`1/m (sum of clipped updates + N(0, (noise_multiplier clip)^2))`, in every round of training.

    Also where nothing arrived: a model that then stood still would give away that nobody took part, and every
    round that `epsilon` composes has to be as noisy as the others.

    Args:
        clip: largest length an update may have; longer ones are scaled down.
        noise_multiplier: standard deviation of the noise in units of `clip`.
        expected_clients: m, the number of updates a round is planned for. It must not depend on the data.
    """

    name = "gaussian"
    accepts_weights = False
    is_mean = True

    class Options(Settings):
        """Settings of the aggregator, see the class."""

        clip: float = Field(default=1.0, gt=0)
        noise_multiplier: float = Field(default=1.0, ge=0)
        expected_clients: float = Field(default=10.0, gt=0)

    def __init__(
        self, clip: float = 1.0, noise_multiplier: float = 1.0, expected_clients: float = 10.0
    ) -> None:
        super().__init__()
        self._clip, self._noise, self._expected = clip, noise_multiplier, expected_clients
        self.moves_alone = noise_multiplier > 0

    def bind(self, num_envs: int, num_clients: int, num_parameters: int, dtype: DType) -> None:
        """See `Aggregator.bind`."""
        self.memory = {"round": np.zeros(num_envs, np.int64), "seed": np.zeros(num_envs, np.uint64)}

    def reset(self, env: int, params: AnyArray, seed: int) -> None:
        """See `Aggregator.reset`."""
        self.memory["round"][env] = 0
        self.memory["seed"][env] = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)

    def moves(self, arrivals: Arrivals) -> Bools:
        """See `Aggregator.moves`."""
        return arrivals.closing if self.moves_alone else super().moves(arrivals)

    def step(self, arrivals: Arrivals, params: AnyArray) -> AnyArray:
        """See `Aggregator.step`."""
        scale = clip_factors(arrivals.delta, self._clip) / self._expected
        step = weighted_sums(arrivals.span, scale, arrivals.delta)
        spread = self._noise * self._clip / self._expected
        for e in np.flatnonzero(arrivals.closing):
            if spread > 0:
                noise = _normal(int(self.memory["seed"][e]), int(self.memory["round"][e]), params.shape[1])
                step[e] += (spread * noise).astype(params.dtype)
            self.memory["round"][e] += 1
        return step


def _normal(seed: int, round_index: int, count: int) -> Floats:
    """Standard normal numbers as a function of seed and round (Box and Muller 1958)."""
    bits = uniform_bits(seed, _NOISE_STREAM, round_index, np.arange(2)[:, None], np.arange(count))
    one, two = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(np.sqrt(-2 * np.log(one)) * np.cos(2 * np.pi * two))


def epsilon_bound(noise_multiplier: float, participations: int, delta: float) -> float:
    """Privacy spent by a client that answers in so many rounds at most, whoever chose these rounds, and why.

    Without amplification by sampling, which nothing promises where a scheduler chooses: so many Gaussian
    mechanisms are one whose mean moves by `sqrt(participations) / noise_multiplier`, whose epsilon is known
    exactly (Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018). The
    choice may depend on anything that is public: availability, prices, models, earlier choices. It must not
    depend on what clients report of their data, and the most rounds must have been fixed before.

    Args:
        noise_multiplier: as in `GaussianMechanism`.
        participations: most rounds in which the client's update may have arrived.
        delta: failure probability, e.g. below one over the number of clients.

    Returns:
        Epsilon of (epsilon, delta)-differential privacy; 0 for a client that never answered.

    Raises:
        ValueError: for arguments out of range.
    """
    _check_ranges(noise_multiplier, delta)
    if participations < 0:
        raise ValueError(f"participations: {participations}, expected 0 or more")
    mu = math.sqrt(participations) / noise_multiplier

    def excess(eps: float) -> float:
        """Failure probability at this epsilon, minus the one that is allowed."""
        far = math.exp(eps + float(log_ndtr(-eps / mu - mu / 2)))
        return float(ndtr(mu / 2 - eps / mu)) - far - delta

    if mu == 0 or excess(0.0) <= 0:
        return 0.0
    most = 1.0
    while excess(most) > 0:
        most *= 2
    return float(brentq(excess, 0.0, most, xtol=1e-12))


def _check_ranges(noise_multiplier: float, delta: float) -> None:
    for name, value, fits, expected in (
        ("noise_multiplier", noise_multiplier, noise_multiplier > 0, "a positive number"),
        ("delta", delta, 0 < delta < 1, "a share in (0, 1)"),
    ):
        if not fits:
            raise ValueError(f"{name}: {value}, expected {expected}")


def epsilon(noise_multiplier: float, sampling_rate: float, rounds: int, delta: float) -> float:
    """Privacy spent by a client after a number of rounds, by Renyi accounting.

    The accountant assumes Poisson sampling: every client takes part in every round independently of all
    others with probability `sampling_rate`, and nobody else knows who did. A fixed number of participants,
    availability that others can observe, or a scheduler that prefers some clients is not that; for these
    `epsilon_bound` holds, which counts the rounds in which a client answers. No figure covers a scheduler
    that looks at what clients report of their data, such as losses.

    Args:
        noise_multiplier: as in `GaussianMechanism`.
        sampling_rate: probability that a client takes part in a round.
        rounds: rounds of training (`Ledger.rounds`), those in which nothing arrived included.
        delta: failure probability, e.g. below one over the number of clients.

    Returns:
        Epsilon of (epsilon, delta)-differential privacy.

    Raises:
        ImportError: if `dp_accounting` is not installed.
        ValueError: for arguments out of range.
    """
    _check_ranges(noise_multiplier, delta)
    if not 0 < sampling_rate <= 1:
        raise ValueError(f"sampling_rate: {sampling_rate}, expected a share in (0, 1]")
    if rounds < 1:
        raise ValueError(f"rounds: {rounds}, expected at least 1")
    try:
        import dp_accounting  # type: ignore[import-not-found,unused-ignore]
        from dp_accounting.rdp import RdpAccountant  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError("epsilon needs the package dp-accounting: pip install dp-accounting") from error
    event = dp_accounting.PoissonSampledDpEvent(
        sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier)
    )
    accountant = RdpAccountant()
    accountant.compose(event, rounds)
    return float(accountant.get_epsilon(delta))
