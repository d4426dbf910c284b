"""The observation's columns against their formulas written out, and independence of the batch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from frugalfl.envs.agent_view import CLIENT_FEATURES, SERVER_FEATURES, AgentView, ObservationEncoder
from frugalfl.envs.contract import survival
from frugalfl.envs.scenario import load_scenario


def squash(values):
    return values / (1.0 + values)


def relative(values, reference):
    total = values + reference
    return np.divide(values - reference, total, out=np.zeros(np.shape(total)), where=total > 0)


def bounded(columns, names):
    table = np.stack([columns[name] for name in names], axis=-1).astype(np.float32)
    return np.clip(table, -1.0, 1.0)


def log_scale(values):
    return np.tanh(np.log(np.maximum(values, 1e-6)) / 3.0)


def rank(values, s):
    """Deviations from the mean of the available, by numpy's own mean and deviation."""
    out = np.zeros(values.shape)
    for row, known, place in zip(
        values, s.clients.available & np.isfinite(values), range(len(values)), strict=True
    ):
        if known.any() and np.std(row[known]) > 1e-12 * np.abs(row[known]).max():
            out[place, known] = (row[known] - row[known].mean()) / row[known].std() / 3.0
    return out


def plain_clients(s, steps):
    carbon = np.take_along_axis(s.zones.carbon_g_per_kwh, s.clients.zone, axis=1)
    ahead = relative(s.zones.carbon_forecast.min(axis=2), s.zones.carbon_g_per_kwh)
    middle = steps[len(steps) // 2]
    rounds = s.run.round_index[:, None] + 1.0
    known = ~np.isnan(s.clients.last_loss)
    loss = np.where(known, s.clients.last_loss, 0.0)
    announced = np.isfinite(s.clients.announced_left_s)
    left_s = np.where(announced, s.clients.announced_left_s, 0.0)
    lasting_s = np.maximum(s.clients.announced_left_s, 1.0)
    return bounded(
        {
            "available": s.clients.available,
            "session_age": np.log1p(s.clients.session_age_s / 3600.0) / np.log1p(168.0),
            "end_announced": announced,
            "announced_left": np.where(announced, left_s / (left_s + 3600.0), 1.0),
            "will_finish_short": np.tanh(np.log(lasting_s / s.round_s(steps[1]))),
            "will_finish_long": np.tanh(np.log(lasting_s / s.round_s(steps[-1]))),
            "forecast_near": s.clients.available_forecast[:, :, 0],
            "forecast_far": s.clients.available_forecast[:, :, -1],
            "step_time": np.tanh(0.5 * np.log(s.clients.step_s * middle / 600.0)),
            "transfer_time": np.tanh(0.5 * np.log(s.round_s(0) / 60.0)),
            "round_time": np.tanh(np.log(s.round_s(middle) / s.terms.deadline_s[:, None])),
            "finish_short": survival(s, s.round_s(steps[1])),
            "finish_middle": survival(s, s.round_s(middle)),
            "finish_long": survival(s, s.round_s(steps[-1])),
            "points_short": log_scale(s.round_points(steps[1])),
            "points_long": log_scale(s.round_points(steps[-1])),
            "time_points": log_scale(s.round_s(middle) / 3600.0 * s.terms.price_per_hour[:, None]),
            "speed_rank": rank(-np.log(s.round_s(middle) / s.terms.deadline_s[:, None]), s),
            "points_rank": rank(-np.log(np.maximum(s.round_points(middle), 1e-6)), s),
            "loss_rank": rank(s.clients.last_loss, s),
            "staleness_rank": rank(np.log1p(s.clients.rounds_since), s),
            "samples_rank": rank(np.log1p(s.clients.samples_held), s),
            "carbon_now": squash(carbon / 300.0),
            "carbon_rank": relative(carbon, s.zones.carbon_g_per_kwh.mean(axis=1)[:, None]),
            "carbon_ahead": np.take_along_axis(ahead, s.clients.zone, axis=1),
            "samples": np.log1p(s.clients.samples_held) / np.log1p(1000.0),
            "samples_sent": s.clients.samples_sent / np.maximum(s.clients.samples_held, 1),
            "storage_left": s.clients.storage_left
            / np.maximum(s.clients.samples_held + s.clients.storage_left, 1),
            "target_weight": squash(s.clients.target_weight * s.num_clients),
            "loss_known": known,
            "last_loss": squash(loss),
            "last_norm": squash(np.nan_to_num(s.clients.last_norm)),
            "staleness": s.clients.rounds_since / (s.clients.rounds_since + 8.0),
            "invited_share": np.minimum(s.clients.invitations / rounds, 1.0),
            "completed_share": np.where(
                s.clients.invitations > 0, s.clients.completions / np.maximum(s.clients.invitations, 1), 1.0
            ),
            "seen_share": s.clients.sightings / s.run.looks[:, None],
            "setup": s.clients.setup_bytes / s.clients.down_bytes_per_s / s.round_s(middle),
        },
        CLIENT_FEATURES,
    )


def plain_server(s, scenario):
    left = [
        s.terms.budget_left[:, i] / limit if np.isfinite(limit) else np.ones(s.num_envs)
        for i, limit in enumerate(scenario.budgets.largest)
    ]
    spent = (
        s.run.hours * s.terms.price_per_hour
        + s.run.gigabytes * s.terms.price_per_gb
        + s.run.kilograms * s.terms.price_per_kg
    )
    last = (
        s.run.last_hours * s.terms.price_per_hour
        + s.run.last_gigabytes * s.terms.price_per_gb
        + s.run.last_kilograms * s.terms.price_per_kg
    )
    gain, drop = np.diff(s.run.past_accuracy, axis=1), -np.diff(s.run.past_loss, axis=1)
    ahead = relative(s.zones.carbon_forecast.min(axis=2), s.zones.carbon_g_per_kwh).min(axis=1)
    angle = 2.0 * np.pi * s.run.utc_hour / 24.0
    return bounded(
        {
            "rounds_done": s.run.round_index / scenario.max_rounds,
            "hours_done": squash(s.run.hours / 24.0),
            "accuracy": s.run.accuracy,
            "loss": squash(s.run.loss),
            "below_best": np.tanh(10.0 * (s.run.best_accuracy - s.run.accuracy)),
            "recent_gain": np.tanh(s.run.recent_gain * 10.0),
            **{f"gain_{k}": np.tanh(10.0 * gain[:, -k]) for k in (1, 2, 3)},
            **{f"drop_{k}": np.tanh(3.0 * drop[:, -k]) for k in (1, 2, 3)},
            "points_spent": log_scale(spent),
            "net_points": np.tanh((100.0 * s.run.accuracy - spent) / 100.0),
            "last_points": log_scale(last),
            "gain_per_point": np.tanh(100.0 * gain[:, -1] / np.maximum(last, 0.02) / 5.0),
            "last_invited": squash(s.run.last_invited / 4.0),
            "last_completed": s.run.last_completed / np.maximum(s.run.last_invited, 1),
            "available_share": s.clients.available.mean(axis=1),
            "reported_share": (~np.isnan(s.clients.last_loss)).mean(axis=1),
            "cleanest_now": squash(s.zones.carbon_g_per_kwh.min(axis=1) / 300.0),
            "carbon_ahead": ahead,
            "price_per_hour": log_scale(s.terms.price_per_hour / 0.3),
            "price_per_gb": log_scale(s.terms.price_per_gb / 0.3),
            "price_per_kg": log_scale(s.terms.price_per_kg / 100.0),
            "time_left": log_scale(s.terms.budget_left[:, 0] / 24.0),
            "step_time": log_scale(np.median(s.clients.step_s, axis=1) / 120.0),
            "sample_size": log_scale(s.terms.sample_bytes / 1e6),
            "hours_left": left[0],
            "gigabytes_left": left[1],
            "kilograms_left": left[2],
            "utc_sin": np.sin(angle),
            "utc_cos": np.cos(angle),
            "label_skew": s.terms.label_skew,
            "announced_share": s.terms.announced_share,
            "overhead_time": squash(s.terms.overhead_s / 600.0),
            "sample_price": squash(s.terms.price_per_gb * s.terms.sample_bytes / 1e6),
        },
        SERVER_FEATURES,
    )


def plain_zones(s):
    angle = 2.0 * np.pi * s.zones.local_hour / 24.0
    now = s.zones.carbon_g_per_kwh
    columns = [squash(now / 300.0), np.sin(angle), np.cos(angle)]
    ratios = relative(s.zones.carbon_forecast, now[:, :, None])
    columns += [ratios[:, :, lead] for lead in range(ratios.shape[2])]
    return np.clip(np.stack(columns, axis=-1).astype(np.float32), -1.0, 1.0)


def played(name, num_envs, rounds=12, **changes):
    """The faces' situations and observations of an episode with random actions."""
    view = AgentView(name, num_envs, **changes)
    view.reset(np.ones(num_envs, dtype=bool), np.arange(num_envs) + 5)
    generators = [np.random.default_rng(env) for env in range(num_envs)]
    for _ in range(rounds):
        yield view, view.situation, view.observe()
        actions = np.stack([rng.integers(0, view.codec.layout.nvec) for rng in generators])
        actions[:, 0] %= 2
        view.act(actions)


@pytest.mark.parametrize("name", ["quadratic", "volunteers", "phones", "spotmarket"])
def test_every_column_is_its_formula(name):
    for view, situation, observation in played(name, 3):
        plain = {
            "clients": plain_clients(situation, view.scenario.levels.local_steps),
            "server": plain_server(situation, view.scenario),
            "zones": plain_zones(situation),
        }
        for part, expected in plain.items():
            assert np.allclose(observation[part], expected, rtol=0, atol=1e-6), part
            assert view.encoder.space[part].contains(observation[part][0])


def test_the_set_up_is_a_share_of_a_round_and_nothing_when_warm():
    shares = []
    for view, situation, observation in played("volunteers", 2, workload={"setup_bytes": 3e8}):
        plain = plain_clients(situation, view.scenario.levels.local_steps)
        assert np.allclose(observation["clients"], plain, rtol=0, atol=1e-6)
        shares.append(observation["clients"][..., CLIENT_FEATURES.index("setup")])
        assert np.array_equal(shares[-1] == 0, situation.clients.setup_bytes == 0)
    assert (np.array(shares) < 1).all() and (np.array(shares) == 0).any() and (shares[0] > 0).all()


def test_columns_with_budgets_are_their_formulas_too():
    budgets = {"hours": 30.0, "gigabytes": 9.0, "kilograms": 2.0}
    for view, situation, observation in played("quadratic", 2, budgets=budgets):
        assert np.allclose(observation["server"], plain_server(situation, view.scenario), rtol=0, atol=1e-6)


def test_a_row_does_not_depend_on_the_batch():
    alone = [observation for _, _, observation in played("quadratic", 1)]
    batch = [observation for _, _, observation in played("quadratic", 7)]
    for one, many in zip(alone, batch, strict=True):
        for part, rows in one.items():
            assert np.array_equal(rows[0], many[part][0])


def test_observations_are_fresh_arrays():
    observations = [observation for _, _, observation in played("quadratic", 2, rounds=3)]
    for first, second in pairwise(observations):
        assert not any(np.shares_memory(first[part], second[part]) for part in first)


def test_a_world_without_forecasts_is_refused():
    view = AgentView("quadratic", 1, forecasting={"carbon_leads_s": [3600.0], "availability_leads_s": []})
    view.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="no leads, expected at least one"):
        view.observe()


def test_chosen_columns_are_those_of_the_whole_observation_in_the_order_asked_for():
    columns = {"clients": ("last_loss", "available"), "server": ("hours_left", "accuracy")}
    for view, situation, whole in played("quadratic", 2, rounds=3):
        encoder = ObservationEncoder(view.scenario, columns)
        seen = encoder.encode(situation)
        for part, features in (("clients", CLIENT_FEATURES), ("server", SERVER_FEATURES)):
            chosen = [features.index(name) for name in columns[part]]
            assert np.array_equal(seen[part], whole[part][..., chosen])
            assert encoder.space[part].contains(seen[part][0])
        assert np.array_equal(seen["zones"], whole["zones"])


def test_unknown_columns_are_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"clients: 'last_los' is no feature; did you mean 'last_loss'"):
        ObservationEncoder(load_scenario("quadratic"), {"clients": ("last_los",)})
