"""Grid carbon and availability ahead, as schedulers that plan several slots need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ....common.arrays import Floats
from ....envs.contract import Situation


def zone_carbon_ahead(situation: Situation, ahead_s: ArrayLike, truth: bool = False) -> Floats:
    """Grid intensity some time from now, linear between the forecast's leads and constant behind the last.

    Args:
        situation: what is known.
        ahead_s: `[S]` or `[E, S]`, seconds from now, not negative.
        truth: take the true future at the same leads where the situation has it (clairvoyant schedulers).

    Returns:
        `[E, Z, S]`, g CO2e per kWh.
    """
    known = truth and situation.future is not None
    coming = (
        situation.future.carbon_g_per_kwh if known and situation.future else situation.zones.carbon_forecast
    )
    curves = np.concatenate([situation.zones.carbon_g_per_kwh[:, :, None], coming], axis=2)
    return _between(curves, np.concatenate([[0.0], situation.zones.carbon_leads_s]), ahead_s)


def client_carbon_ahead(situation: Situation, ahead_s: ArrayLike, truth: bool = False) -> Floats:
    """The same at every client, `[E, N, S]`; see `zone_carbon_ahead`."""
    curves = zone_carbon_ahead(situation, ahead_s, truth)
    return np.take_along_axis(curves, situation.clients.zone[:, :, None], axis=1)


def availability_ahead(situation: Situation, ahead_s: ArrayLike) -> Floats:
    """Forecast chance `[E, N, S]` that a client is available `ahead_s` from now; now it is 0 or 1."""
    now = situation.clients.available[:, :, None].astype(np.float64)
    curves = np.concatenate([now, situation.clients.available_forecast], axis=2)
    return _between(curves, np.concatenate([[0.0], situation.clients.forecast_leads_s]), ahead_s)


def integral_ahead(curves: Floats, leads_s: Floats, until_s: Floats) -> Floats:
    """Integral from now of curves that are linear between their leads and at their mean behind the last.

    Args:
        curves: `[..., L + 1]`, now and at the leads.
        leads_s: `[L]`, increasing, seconds from now.
        until_s: `[..., W]`, ends of the integrals, seconds from now.

    Returns:
        `[..., W]`, in the curves' unit x seconds.
    """
    if leads_s.size == 0:
        return curves * until_s
    places_s = np.concatenate([[0.0], leads_s])
    width_s = np.diff(places_s)
    pieces = 0.5 * (curves[..., 1:] + curves[..., :-1]) * width_s
    upto = np.concatenate([np.zeros_like(curves[..., :1]), np.cumsum(pieces, axis=-1)], axis=-1)
    left = np.clip(np.searchsorted(places_s, until_s, side="right") - 1, 0, leads_s.size - 1)
    inside_s = np.clip(until_s - places_s[left], 0.0, width_s[left])
    before, after = (np.take_along_axis(curves, left + step, axis=-1) for step in (0, 1))
    within = inside_s * (before + 0.5 * (after - before) / width_s[left] * inside_s)
    behind = np.maximum(until_s - places_s[-1], 0.0) * upto[..., -1:] / places_s[-1]
    found: Floats = np.take_along_axis(upto, left, axis=-1) + within + behind
    return found


def _between(curves: Floats, leads_s: Floats, ahead_s: ArrayLike) -> Floats:
    """Piecewise linear interpolation of `[E, K, L]` at `[S]` or `[E, S]`."""
    shape = (curves.shape[0], np.shape(ahead_s)[-1])
    asked_s = np.broadcast_to(np.asarray(ahead_s, dtype=np.float64), shape)
    left = np.clip(np.searchsorted(leads_s, asked_s, side="right") - 1, 0, max(leads_s.size - 2, 0))
    right = np.minimum(left + 1, leads_s.size - 1)
    span_s = np.maximum(leads_s[right] - leads_s[left], 1e-9)
    share = np.clip((asked_s - leads_s[left]) / span_s, 0.0, 1.0)[:, None, :]
    before = np.take_along_axis(curves, left[:, None, :], axis=2)
    after = np.take_along_axis(curves, right[:, None, :], axis=2)
    return before + share * (after - before)
