"""The columns of observations that worlds with arrivals have beside the others."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Floats32
from ...common.units import SECONDS_PER_HOUR
from ..contract import StreamFacts

_LOG_ARRIVED = np.log1p(1000.0)
_USUAL_AGE_S = 4 * SECONDS_PER_HOUR
_USUAL_LAG = 4.0
_USUAL_POINTS_H = 2.0
_LOG_UNIT = 3.0


def client_columns(stream: StreamFacts) -> Floats32:
    """`[E, N, 5]`, in the order of `STREAM_CLIENT_TABLE`; then those of `EXIT_CLIENT_TABLE`, if there are."""
    right = np.where(np.isnan(stream.right_share), -1.0, stream.right_share)
    columns = [
        np.minimum(np.log1p(stream.arrived) / _LOG_ARRIVED, 1.0),
        np.minimum(stream.memory_rows / stream.most_rows[:, None], 1.0),
        stream.memory_age_s / (stream.memory_age_s + _USUAL_AGE_S),
        stream.version_lag / (stream.version_lag + _USUAL_LAG),
        right,
    ]
    if stream.ask is not None:
        columns.append(stream.ask.asked / np.maximum(stream.arrived, 1))
    return np.stack(columns, axis=2).astype(np.float32)


def server_columns(stream: StreamFacts) -> Floats32:
    """`[E, 5]`, in the order of `STREAM_SERVER_TABLE`; then those of `EXIT_SERVER_TABLE`, if there are."""
    points = np.maximum(stream.requests_hour * stream.points_per_request, 1e-6)
    columns = [
        stream.right_fast,
        stream.right_slow,
        np.tanh(5.0 * (stream.right_slow - stream.right_fast)),
        stream.page_hinkley,
        np.tanh(np.log(points / _USUAL_POINTS_H) / _LOG_UNIT),
    ]
    if stream.ask is not None:
        ask = stream.ask
        columns += [ask.kept_right, ask.hub_right, ask.price, ask.worth_asking_below]
    return np.asarray(np.clip(np.stack(columns, axis=1), -1.0, 1.0), dtype=np.float32)
