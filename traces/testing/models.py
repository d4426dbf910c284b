"""The batteries for models of availability and of request arrivals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...common.splits import SPLITS
from ..arrivals import ArrivalModel, make_arrivals
from ..availability import (
    AvailabilityForecaster,
    AvailabilityModel,
    AvailabilityRequest,
    make_availability,
)

_HOUR_S = 3600.0


def check_availability_model(
    spec: str | Mapping[str, object] | AvailabilityModel, clients: int = 12, hours: float = 60.0
) -> None:
    """Check that a model of availability keeps its contract over twenty episodes.

    Sessions are sorted, disjoint, run or begin within the horizon, and only they are announced; the
    climatology is a probability by UTC hour; an episode depends on the request and the seed alone.

    Args:
        spec: what `make_availability` takes.
        clients: how many to ask for.
        hours: for how long.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    model, name, horizon_s = make_availability(spec), str(spec), hours * _HOUR_S
    model.validate_for(clients, horizon_s)
    request = AvailabilityRequest(1.7e9, horizon_s, np.arange(clients) % 2, np.array([0.0, 5.5]))
    for seed in range(20):
        episode = model.sample(request, np.random.default_rng(seed))
        sessions = episode.sessions.validate()
        real = np.isfinite(sessions.start_s)
        assert sessions.num_clients == clients, f"{name}: {sessions.num_clients} clients, expected {clients}"
        assert not (sessions.announced & ~real).any(), f"{name}: something that is no session is announced"
        assert (sessions.start_s[real] <= horizon_s).all(), f"{name}: a session begins after the horizon"
        assert (sessions.end_s[real] > 0).all(), f"{name}: a session has ended by t = 0"
        usual = episode.climatology
        assert usual.shape == (clients, 24), f"{name}: climatology {usual.shape}, expected [N, 24]"
        assert usual.dtype == np.float32, f"{name}: climatology {usual.dtype}, expected float32"
        assert ((usual >= 0) & (usual <= 1)).all(), f"{name}: the climatology is no probability"
        assert episode.relaxation_s.shape == (clients,), f"{name}: relaxation_s, expected [N]"
        assert (episode.relaxation_s > 0).all(), f"{name}: relaxation_s, expected above 0"
        assert isinstance(episode.forecast, AvailabilityForecaster), f"{name}: no forecaster"
        again = model.sample(request, np.random.default_rng(seed))
        pairs = ((again.sessions.start_s, sessions.start_s), (again.climatology, usual))
        same = all(np.array_equal(one, other) for one, other in pairs)
        assert same, f"{name}: the seed does not decide all"


def check_arrival_model(
    spec: str | Mapping[str, object] | ArrivalModel, sources: int = 12, hours: float = 60.0
) -> None:
    """Check that a model of request arrivals keeps its contract over twenty episodes of each split.

    There is a count for each source and minute and none is below zero; what is expected is the mean of what
    comes, within a factor of three over all episodes; an episode depends on the arguments alone.

    Args:
        spec: what `make_arrivals` takes.
        sources: how many to ask for.
        hours: for how long.

    Raises:
        AssertionError: naming the promise that is broken.
    """
    model, name, horizon_s = make_arrivals(spec), str(spec), hours * _HOUR_S
    model.validate_for(sources, horizon_s)
    shape, offset_h = (sources, round(hours * 60)), np.where(np.arange(sources) % 2, 5.5, 0.0)
    came = usual = 0.0
    for seed in range(20):
        for split in SPLITS:
            episode = model.draw(seed, sources, 1.7e9, offset_h, horizon_s, split)
            counts, expected = episode.counts, episode.expected
            assert counts.shape == shape, f"{name}: counts {counts.shape}, expected [N, B] = {shape}"
            assert counts.dtype == np.int32, f"{name}: counts {counts.dtype}, expected int32"
            assert (counts >= 0).all(), f"{name}: a count is below zero"
            assert expected.shape == shape, f"{name}: expected {expected.shape}, expected [N, B] = {shape}"
            finite = np.isfinite(expected).all() and (expected >= 0).all()
            assert finite, f"{name}: what is expected is no finite number of 0 or more"
            again = model.draw(seed, sources, 1.7e9, offset_h, horizon_s, split)
            assert np.array_equal(again.counts, counts), f"{name}: the seed does not decide all"
            came, usual = came + float(counts.sum()), usual + float(expected.sum())
    assert came < 3 * usual < 9 * came, f"{name}: {came:g} requests came, {usual:g} were expected"
