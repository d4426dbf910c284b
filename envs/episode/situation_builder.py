"""What a `Situation` has in simulated and live worlds alike; who is available is each world's own."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from ...common.arrays import Floats, Ints
from ...common.units import SECONDS_PER_HOUR
from ...fl_core.federation import RoundEngine
from ...traces.carbon import CarbonBatch
from ..contract import RunFacts, Terms, ZoneFacts
from .ledger import Ledger
from .population import Population
from .rules import spent


def utc_hour(start_utc_s: Floats, time_s: Floats) -> Floats:
    """`[E]`, hour of the day at `time_s` seconds after each episode's beginning."""
    return ((start_utc_s + time_s) / SECONDS_PER_HOUR) % 24.0


def zone_facts(
    carbon: CarbonBatch, time_s: Floats, hour: Floats, utc_offset_h: Floats, leads_s: Floats
) -> ZoneFacts:
    """What is known of the grid zones.

    Args:
        carbon: the grids.
        time_s: `[E]`, since each episode began.
        hour: `[E]`, of the day, UTC.
        utc_offset_h: `[E, Z]`, hours each zone is ahead of UTC.
        leads_s: `[H]`, of the forecast.
    """
    return ZoneFacts(
        local_hour=(hour[:, None] + utc_offset_h) % 24.0,
        carbon_g_per_kwh=carbon.now(time_s),
        carbon_leads_s=leads_s,
        carbon_forecast=carbon.forecast(time_s, leads_s),
    )


def run_facts(ledger: Ledger, time_s: Floats, hour: Floats, max_rounds: int) -> RunFacts:
    """How far the run has come, by its books.

    Args:
        ledger: the books.
        time_s: `[E]`, since each episode began.
        hour: `[E]`, of the day, UTC.
        max_rounds: training rounds after which the episode is cut off.
    """
    return RunFacts(
        time_s=time_s.copy(),
        utc_hour=hour,
        round_index=ledger.rounds.copy(),
        rounds_left=max_rounds - ledger.rounds,
        looks=ledger.looks.copy(),
        accuracy=ledger.accuracy.copy(),
        loss=ledger.loss.copy(),
        recent_gain=ledger.recent_gain,
        best_accuracy=ledger.best_accuracy.copy(),
        past_accuracy=ledger.past_accuracy.copy(),
        past_loss=ledger.past_loss.copy(),
        last_hours=ledger.last_hours.copy(),
        last_gigabytes=ledger.last_gigabytes.copy(),
        last_kilograms=ledger.last_kilograms.copy(),
        last_invited=ledger.last_invited.astype(np.int64),
        last_completed=ledger.last_completed.astype(np.int64),
        hours=ledger.hours.copy(),
        gigabytes=ledger.gigabytes.copy(),
        kilograms=ledger.kilograms.copy(),
    )


class ClientBooks(TypedDict):
    """The fields of `ClientFacts` that any coordinator keeps itself, each `[E, N]`."""

    samples_held: Ints
    samples_sent: Ints
    storage_left: Ints
    target_weight: Floats
    last_loss: Floats
    last_norm: Floats
    probed_loss: Floats
    rounds_since: Ints
    invitations: Ints
    completions: Ints


def client_books(ledger: Ledger, core: RoundEngine, held: Ints) -> ClientBooks:
    """What clients hold, weigh and have done so far.

    Args:
        ledger: the books.
        core: what they own and may hold.
        held: `[E, N]`, samples held now.
    """
    return {
        "samples_held": held.copy(),
        "samples_sent": held - core.own,
        "storage_left": core.capacity - held,
        "target_weight": core.target_weight,
        "last_loss": ledger.last_loss.copy(),
        "last_norm": ledger.last_norm.copy(),
        "probed_loss": ledger.probed_loss.copy(),
        "rounds_since": ledger.rounds[:, None] - ledger.last_round,
        "invitations": ledger.invitations.copy(),
        "completions": ledger.completions.copy(),
    }


def terms_of(
    population: Population, ledger: Ledger, download_bytes: float, upload_bytes: float, upload_bits: int = 0
) -> Terms:
    """Prices, budgets, sizes and what else differs between operators.

    Args:
        population: what was drawn.
        ledger: what has been spent.
        download_bytes: of the model on its way to a client.
        upload_bytes: of an update on its way back.
        upload_bits: of its coordinates, where they are a decision.
    """
    prices = population.prices
    return Terms(
        price_per_hour=prices[:, 0].copy(),
        price_per_gb=prices[:, 1].copy(),
        price_per_kg=prices[:, 2].copy(),
        budget_left=population.budgets - spent(ledger),
        model_bytes=np.full(len(prices), download_bytes),
        sample_bytes=population.sample_bytes.copy(),
        upload_bytes=np.full(len(prices), upload_bytes),
        upload_bits=np.full(len(prices), upload_bits),
        overhead_s=population.overhead_s.copy(),
        deadline_s=population.deadline_s.copy(),
        label_skew=population.label_skew.copy(),
        announced_share=population.announced_share.copy(),
        price_per_auc=population.price_per_auc.copy(),
        federation_size=np.full(len(prices), population.zone.shape[1], dtype=np.int64),
    )
