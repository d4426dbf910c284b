"""What is known of a live federation, as the `Situation` that every scheduler reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....envs.contract import Situation

if TYPE_CHECKING:
    from .live_world import LiveWorld


def live_situation(world: LiveWorld) -> Situation:
    """The situation of one federation, E = 1.

    Availability is who is connected and not busy; session ends, zone, speed and watts are what nodes say or
    what was measured, else the scenario's draw; carbon is the scenario's trace; accuracy is the server's.
    """
    return Situation.of(**_clients(world), **_zones(world), **_run(world), **_costs(world))


def _clients(world: LiveWorld) -> dict[str, Any]:
    roster, ledger, now_s = world.roster, world.ledger, world.clock.now()
    available = roster.available[None]
    leads_s = np.array(world.scenario.forecasting.availability_leads_s)
    own, capacity = world.core.own.astype(np.int64), world.core.capacity.astype(np.int64)
    return {
        "available": available,
        "zone": roster.zone[None].copy(),
        "session_age_s": np.where(available, now_s - roster.session_start_s, 0.0),
        "announced_left_s": np.where(available, roster.announced_end_s - now_s, np.inf),
        "forecast_leads_s": leads_s,
        "available_forecast": roster.forecast(now_s, leads_s)[None],
        "step_s": roster.step_s[None].copy(),
        "down_bytes_per_s": roster.down_bytes_per_s[None].copy(),
        "up_bytes_per_s": roster.up_bytes_per_s[None].copy(),
        "compute_watts": roster.watts[None].copy(),
        "network_j_per_byte": roster.network_j_per_byte[None].copy(),
        "samples_held": world.held.copy(),
        "samples_sent": world.held - own,
        "storage_left": capacity - world.held,
        "target_weight": world.core.target_weight,
        "last_loss": ledger.last_loss.copy(),
        "last_norm": ledger.last_norm.copy(),
        "probed_loss": ledger.probed_loss.copy(),
        "rounds_since": ledger.rounds[:, None] - ledger.last_round,
        "invitations": ledger.invitations.copy(),
        "completions": ledger.completions.copy(),
        "sightings": ledger.sightings + available,
    }


def _zones(world: LiveWorld) -> dict[str, Any]:
    time_s = world.time_s
    leads_s = np.array(world.scenario.forecasting.carbon_leads_s)
    utc_hour = ((world.draw.start_utc_s + time_s) / 3600.0) % 24.0
    return {
        "utc_hour": utc_hour,
        "local_hour": (utc_hour[:, None] + world.draw.utc_offset_h[None]) % 24.0,
        "carbon_g_per_kwh": world.carbon.now(time_s),
        "carbon_leads_s": leads_s,
        "carbon_forecast": world.carbon.forecast(time_s, leads_s),
    }


def _run(world: LiveWorld) -> dict[str, Any]:
    ledger = world.ledger
    return {
        "time_s": world.time_s,
        "round_index": ledger.rounds.copy(),
        "rounds_left": world.scenario.max_rounds - ledger.rounds,
        "accuracy": ledger.accuracy.copy(),
        "loss": ledger.loss.copy(),
        "recent_gain": ledger.recent_gain,
        "hours": ledger.hours.copy(),
        "gigabytes": ledger.gigabytes.copy(),
        "kilograms": ledger.kilograms.copy(),
    }


def _costs(world: LiveWorld) -> dict[str, Any]:
    ledger, source = world.ledger, world.source
    spent = np.stack([ledger.hours, ledger.gigabytes, ledger.kilograms], axis=1)
    return {
        "budget_left": source.budgets - spent,
        "price_per_hour": world.prices[:, 0].copy(),
        "price_per_gb": world.prices[:, 1].copy(),
        "price_per_kg": world.prices[:, 2].copy(),
        "model_bytes": source.model_bytes * world.core.aggregator.traffic,
        "upload_bytes": np.full(1, source.model_bytes),
        "sample_bytes": source.sample_bytes,
        "overhead_s": world.overhead_s,
        "deadline_s": np.full(1, source.deadline_s),
    }
