"""What is known of a live federation, as the `Situation` that every scheduler reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....envs.contract import ClientFacts, Situation
from ....envs.episode import (
    Ledger,
    Population,
    PopulationSource,
    client_books,
    run_facts,
    terms_of,
    utc_hour,
    zone_facts,
)
from ....fl_core.federation import FederatedCore
from ....traces.carbon import CarbonBatch
from .roster import Roster


def live_situation(
    roster: Roster,
    ledger: Ledger,
    core: FederatedCore,
    carbon: CarbonBatch,
    population: Population,
    source: PopulationSource,
    now_s: float,
    overhead_s: float,
) -> Situation:
    """The situation of one federation, E = 1.

    Availability is who is connected and not busy; session ends, zone, speed and watts are what nodes say or
    what was measured, else the scenario's draw; they bring their own environment, so nobody is cold; carbon
    is the scenario's trace; accuracy is the server's. The share of announced ends is that of the nodes that
    are connected now.

    Args:
        roster: who is in the federation.
        ledger: the books.
        core: who holds what.
        carbon: the grids.
        population: beginning, offsets, prices, budgets and sizes, E = 1.
        source: the scenario and the model's size.
        now_s: federation time.
        overhead_s: seconds a round takes beyond computing.
    """
    scenario, time_s = source.scenario, np.array([now_s])
    hour = utc_hour(population.start_utc_s, time_s)
    carbon_leads_s = np.array(scenario.forecasting.carbon_leads_s)
    down_bytes = source.model_bytes * core.aggregator.traffic
    up_bytes = source.model_bytes * core.upload_share / core.aggregator.traffic
    return Situation(
        clients=_client_facts(roster, ledger, core, now_s, scenario.forecasting.availability_leads_s),
        zones=zone_facts(carbon, time_s, hour, population.utc_offset_h, carbon_leads_s),
        run=replace(run_facts(ledger, time_s, hour, scenario.max_rounds), looks=ledger.looks + 1),
        terms=replace(
            terms_of(population, ledger, down_bytes, up_bytes, scenario.upload_bits),
            overhead_s=np.array([overhead_s]),
            announced_share=np.array([roster.announced_share]),
        ),
    )


def _client_facts(
    roster: Roster, ledger: Ledger, core: FederatedCore, now_s: float, leads: tuple[float, ...]
) -> ClientFacts:
    available, leads_s = roster.available[None], np.array(leads)
    return ClientFacts(
        available=available,
        busy=np.zeros_like(available),
        zone=roster.zone[None].copy(),
        session_age_s=np.where(available, now_s - roster.session_start_s, 0.0),
        announced_left_s=np.where(available, roster.announced_end_s - now_s, np.inf),
        forecast_leads_s=leads_s,
        available_forecast=roster.forecast(now_s, leads_s)[None],
        step_s=roster.step_s[None].copy(),
        down_bytes_per_s=roster.down_bytes_per_s[None].copy(),
        up_bytes_per_s=roster.up_bytes_per_s[None].copy(),
        compute_watts=roster.watts[None].copy(),
        network_j_per_byte=roster.network_j_per_byte[None].copy(),
        setup_bytes=np.zeros(available.shape),
        sightings=ledger.sightings + available,
        **client_books(ledger, core, core.held.astype(np.int64)),
    )
