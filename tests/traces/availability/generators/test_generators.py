"""Availability generators against the statistics that they are built from."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.traces.analysis import generate, pairwise_correlation, summarise, trace_of
from frugalfl.traces.availability import GENERATORS, AvailabilityRequest, SessionBatch, make_availability
from frugalfl.traces.availability.generators import Clock, Law, chain_states, data_correlated_means
from frugalfl.traces.calibration import calibration
from frugalfl.traces.records import hour_profile, hourly_shares
from frugalfl.traces.testing import check_availability_model

HOUR = 3600.0
SPECS = [name for name in GENERATORS if name not in ("renewal", "file")] + [
    {"kind": "renewal", "up_per_h": [0.2], "down_per_h": [0.4]},
    {"kind": "phones", "rule": "strict", "never_share": 0.2},
    {"kind": "volunteers", "system": "mixed", "honesty": 0.5},
    {"kind": "gilbert-elliott", "pi": [0.1, 0.9], "correlation": 0.9},
    {"kind": "by-zone", "of": ["spot", {"kind": "volunteers", "honesty": 0.5}, "phones"], "zones": [2, 0, 1]},
]


def request(clients=12, hours=60.0, zones=2, start=1.7e9):
    offsets = np.array([0.0, 5.5, -8.0])[:zones]
    return AvailabilityRequest(start, hours * HOUR, np.arange(clients) % zones, offsets)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_generator_keeps_the_contract(spec):
    check_availability_model(spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_climatology_and_forecast_are_unbiased(spec):
    """Averaged over many clients, the coordinator's forecast is what happens, now and later."""
    model, leads = make_availability(spec), np.array([0.0, HOUR, 12 * HOUR])
    said, was = np.zeros(3), np.zeros(3)
    for seed in range(60):
        own = request(30, 40, start=1.7e9 + 4321.0 * seed)
        episode = model.sample(own, np.random.default_rng(seed))
        batch = SessionBatch(1, 30)
        batch.set(0, episode, own.start_utc_s)
        now = np.array([20 * HOUR])
        batch.advance(now)
        said += batch.forecast(now, leads)[0].mean(axis=0) / 60
        starts, ends = batch.starts[0], batch.ends[0]
        was += [((starts <= 20 * HOUR + x) & (ends > 20 * HOUR + x)).any(1).mean() / 60 for x in leads]
    assert said == pytest.approx(was, abs=0.07)


@pytest.mark.parametrize(("rule", "row"), [("charging", "stunner"), ("strict", "flash")])
def test_phones_reproduce_the_measured_table(rule, row):
    facts = calibration()["phones"][row]
    trace = generate(make_availability({"kind": "phones", "rule": rule}), 3000, 7.0, np.random.default_rng(0))
    summary, (profile, means) = summarise(trace), hour_profile(trace)
    a, b = facts["beta"]
    assert summary.mean == pytest.approx(facts["mean"], abs=0.015)
    assert summary.sd == pytest.approx(np.sqrt(a * b / (a + b) ** 2 / (a + b + 1)), abs=0.03)
    assert summary.sessions_per_day == pytest.approx(facts["sessions_per_day"], rel=0.1)
    assert summary.on_median_h == pytest.approx(facts["on_median_h"], rel=0.15)
    assert summary.on_mean_h == pytest.approx(facts["on_mean_h"], rel=0.15)
    measured = np.array(facts["available_by_local_hour"])
    assert np.abs(profile - measured * facts["mean"] / measured.mean()).max() < 0.035
    assert summary.peak_hour in (2, 3, 4, 5)
    assert means.size == 3000


def test_phones_follow_their_own_clocks():
    model = make_availability("phones")
    own = AvailabilityRequest(1699920000.0, 48 * HOUR, np.repeat([0, 1], 1500), np.array([0.0, 12.0]))
    sessions = model.sample(own, np.random.default_rng(0)).sessions
    at_four_utc = (sessions.start_s <= 28 * HOUR) & (sessions.end_s > 28 * HOUR)
    share = at_four_utc.any(axis=1).reshape(2, 1500).mean(axis=1)
    assert share[0] > 1.6 * share[1], "four at night in one zone is four in the afternoon in the other"


def test_stationary_from_the_first_second():
    for spec in ("phones", "volunteers", "stays"):
        trace = generate(make_availability(spec), 4000, 8.0, np.random.default_rng(0))
        seconds, _, _ = hourly_shares(trace)
        by_hour = seconds.reshape(4000, -1).mean(axis=0) / HOUR
        assert by_hour[:24].mean() == pytest.approx(by_hour[-24:].mean(), abs=0.03), "a week later"


def test_volunteers_mostly_lend_outside_working_hours():
    trace = generate(make_availability("volunteers"), 2000, 7.0, np.random.default_rng(0))
    seconds, _, hour = hourly_shares(trace)
    working = (hour < 120) & (hour % 24 >= 12) & (hour % 24 < 18)
    night = (hour < 120) & (hour % 24 < 6)
    assert seconds[working].mean() < 0.85 * seconds[night].mean()


def test_volunteers_announce_the_given_share_and_sudden_ends_never():
    own = request(400, 72)
    calm = make_availability({"kind": "volunteers", "sudden_per_h": 0.0, "announced_share": 0.5})
    sessions = calm.sample(own, np.random.default_rng(0)).sessions
    assert sessions.announced[np.isfinite(sessions.start_s)].mean() == pytest.approx(0.5, abs=0.05)
    wild = make_availability({"kind": "volunteers", "sudden_per_h": 60.0, "announced_share": 1.0})
    sessions = wild.sample(own, np.random.default_rng(0)).sessions
    assert sessions.announced[np.isfinite(sessions.start_s)].mean() < 0.45


def spot_zones(**changes):
    """Zones watched for 45 days through one node each that is never withdrawn itself."""
    model = make_availability({"kind": "spot", "node_hazard_per_h": 0.0, **changes})
    own = AvailabilityRequest(1.7e9, 45 * 24 * HOUR, np.arange(6), np.zeros(6))
    return [trace_of(model.sample(own, np.random.default_rng(s)), own, "spot") for s in range(12)]


def test_spot_zones_reproduce_rates_and_correlations():
    facts, traces = calibration()["spot"], spot_zones()
    assert np.mean([summarise(t).mean for t in traces]) == pytest.approx(2.3 / 3.6, abs=0.07)
    per_day = np.mean([summarise(t).sessions_per_day for t in traces])
    assert per_day == pytest.approx(facts["sessions_per_day"], rel=0.25)
    lags, near, far = [], [], []
    for trace in traces:
        table = hourly_shares(trace)[0].reshape(6, -1)
        centred = table - table.mean(axis=1, keepdims=True)
        var = (centred**2).mean(axis=1)
        lags.append([((centred[:, k:] * centred[:, :-k]).mean(axis=1) / var).mean() for k in (1, 6)])
        matrix = np.corrcoef(table)
        near += [matrix[0, 1], matrix[2, 3], matrix[4, 5]]
        far += [matrix[0, 2], matrix[1, 4], matrix[3, 5]]
    measured = facts["autocorrelation_hourly"]
    assert np.mean(lags, axis=0) == pytest.approx([measured["1"], measured["6"]], abs=0.1)
    assert np.mean(near) == pytest.approx(facts["correlation_in_region"], abs=0.1)
    assert np.mean(far) == pytest.approx(facts["correlation_across"], abs=0.08)


def test_spot_nodes_go_in_batches():
    model = make_availability({"kind": "spot", "node_hazard_per_h": 0.5})
    own = AvailabilityRequest(1.7e9, 60 * HOUR, np.zeros(16, dtype=np.int64), np.zeros(1))
    in_batches = total = 0
    for seed in range(40):
        ends = model.sample(own, np.random.default_rng(seed)).sessions.end_s
        _, counts = np.unique(ends[np.isfinite(ends)], return_counts=True)
        total += counts.sum()
        in_batches += counts[counts >= 3].sum()
    assert in_batches / total > 0.6, "61 % of Bamboo's removals came in batches of three or more"


def test_gilbert_elliott_has_its_run_lengths_and_memory():
    """Mean runs 1/((1-lambda)(1-pi)) and 1/((1-lambda) pi) slots; P(on in n slots) in closed form (3.11)."""
    pi, keep = 0.3, 0.8
    states = chain_states(np.full(400, pi), np.full(400, keep), 4000, np.random.default_rng(0))
    assert states.mean() == pytest.approx(pi, abs=0.01)
    stays = states[:, 1:] & states[:, :-1]
    assert stays.sum() / states[:, :-1].sum() == pytest.approx(1 - (1 - keep) * (1 - pi), abs=0.01)
    later = states[:, 5:][states[:, :-5]].mean()
    assert later == pytest.approx(pi + (1 - pi) * keep**5, abs=0.01)


def test_clusters_fall_together():
    spec = {"kind": "clusters", "zone_pi": 0.5, "client_pi": 0.95}
    own = AvailabilityRequest(1.7e9, 20 * 24 * HOUR, np.repeat([0, 1], 10), np.zeros(2))
    trace = trace_of(make_availability(spec).sample(own, np.random.default_rng(0)), own, "clusters")
    matrix = np.corrcoef(hourly_shares(trace)[0].reshape(20, -1))
    assert matrix[:10, :10][np.triu_indices(10, 1)].mean() > 0.6
    assert abs(matrix[:10, 10:].mean()) < 0.25
    assert pairwise_correlation(trace) > 0.2


def test_cycles_and_blocks_are_exact():
    own = AvailabilityRequest(1699920000.0, 96 * HOUR, np.array([0, 1, 2]), np.zeros(3))
    cyclic = make_availability({"kind": "cyclic", "period_s": 7200.0, "share": 0.25, "groups": 3})
    sessions = cyclic.sample(own, np.random.default_rng(0)).sessions
    real = np.isfinite(sessions.start_s)
    assert sessions.end_s[real] - sessions.start_s[real] == pytest.approx(1800.0)
    blocks = make_availability({"kind": "semi-cyclic", "blocks": 3})
    sessions = blocks.sample(own, np.random.default_rng(0)).sessions
    for client in range(3):
        for hour in range(96):
            running = (sessions.start_s[client] <= (hour + 0.5) * HOUR) & (
                sessions.end_s[client] > (hour + 0.5) * HOUR
            )
            assert running.any() == (hour % 24 // 8 == client)


def test_data_correlated_means_depend_on_the_labels():
    rng = np.random.default_rng(0)
    labels = rng.dirichlet(np.full(10, 0.1), 50)
    pi = data_correlated_means(labels, rng)
    assert pi.min() >= 0.02
    assert pi.mean() == pytest.approx(0.4, abs=0.05)
    assert pi.std() > 0.05
    model = make_availability({"kind": "gilbert-elliott", "pi": pi.tolist()})
    assert model.sample(request(50), rng).climatology[:, 0] == pytest.approx(pi)


@pytest.mark.parametrize("law", [Law(), Law("weibull", 0.6), Law("lognormal", 1.2)], ids=str)
def test_laws_have_mean_one_and_running_stays_are_length_biased(law):
    rng = np.random.default_rng(0)
    fresh = law.draw(rng, 400_000)
    age, rest = law.draw_running(rng, 400_000)
    assert fresh.mean() == pytest.approx(1.0, rel=0.03)
    assert age.mean() == pytest.approx(rest.mean(), rel=0.05)
    # E[whole running stay] = E[X^2] / E[X]; its inverse has mean 1 / E[X], which needs no second moment.
    assert (1.0 / (age + rest)).mean() == pytest.approx(1.0, rel=0.05)


def test_clock_inverts_its_own_hazard():
    clock = Clock(np.array([0.5, 2.0, 0.1] * 8))
    hours = np.random.default_rng(0).uniform(-50, 50, 100)
    there = clock.after(hours, np.full(100, 7.3))
    assert clock.after(there, np.full(100, -7.3)) == pytest.approx(hours)
    assert (there > hours).all()


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("phonse", "did you mean 'phones'"),
        ({"kind": "phones", "coverage": 1}, "coverage: unknown field"),
        ({"kind": "spot", "batch_share": 2}, "batch_share: 2, expected less than"),
        ({"kind": "nothing"}, "availability: 'nothing' is unknown"),
        ({"kind": "file"}, "path"),
        ("/nowhere/x.txt", "No such file"),
        ({"kind": "renewal", "up_per_h": [1.0], "down_per_h": [1.0, 2.0]}, "expected 1, 24 or 168"),
    ],
)
def test_wrong_specifications_end_in_one_line(spec, why):
    with pytest.raises(ValueError, match=why) as caught:
        make_availability(spec)
    assert "\n" not in str(caught.value)


ANNOUNCING = {
    "volunteers": {"sudden_per_h": 0.0},
    "spot": {},
    "phones": {},
    "gilbert-elliott": {},
    "sine": {},
}


@pytest.mark.parametrize("kind", list(ANNOUNCING))
def test_each_episode_announces_the_share_that_it_says(kind):
    model = make_availability({"kind": kind, "announced_share": [0.05, 0.8], **ANNOUNCING[kind]})
    said = []
    for seed in range(12):
        episode = model.sample(request(300, 72), np.random.default_rng(seed))
        real = np.isfinite(episode.sessions.start_s)
        share = episode.sessions.announced[real].mean()
        assert share == pytest.approx(episode.announced_share, abs=0.01 + 2.5 / np.sqrt(real.sum()))
        said.append(episode.announced_share)
    assert 0.05 <= min(said) < 0.12 and 0.4 < max(said) <= 0.8
    fixed, other = (
        make_availability({"kind": kind, **ANNOUNCING[kind], **changes}).sample(
            request(30, 72), np.random.default_rng(1)
        )
        for changes in ({"announced_share": 0.3}, {"announced_share": [0.1, 0.9]})
    )
    assert fixed.announced_share == 0.3
    np.testing.assert_array_equal(fixed.sessions.start_s, other.sessions.start_s)
    np.testing.assert_array_equal(fixed.sessions.end_s, other.sessions.end_s)


def test_zones_have_models_of_their_own():
    often, seldom = {"kind": "gilbert-elliott", "pi": 0.9}, {"kind": "gilbert-elliott", "pi": 0.2}
    often |= {"announced_share": 1.0, "notice_s": 60.0}
    model = make_availability({"kind": "by-zone", "of": [often, seldom], "zones": [1, 0]})
    own = request(60, 100.0, zones=3)  # zones 0 and 2 are of the second model
    episode = model.sample(own, np.random.default_rng(0))
    ends = np.minimum(np.where(np.isfinite(episode.sessions.end_s), episode.sessions.end_s, 0), 100 * HOUR)
    begins = np.where(np.isfinite(episode.sessions.start_s), np.maximum(episode.sessions.start_s, 0), 0)
    share = (ends - np.minimum(begins, ends)).sum(axis=1) / (100 * HOUR)
    first = own.zone == 1
    assert share[first].mean() == pytest.approx(0.9, abs=0.05)
    assert share[~first].mean() == pytest.approx(0.2, abs=0.05)
    assert episode.announced_share == pytest.approx(1 / 3)
    assert set(episode.announce_notice_s[first]) == {60.0}
    assert not episode.sessions.announced[~first].any()
    batch = SessionBatch(1, 60)
    batch.set(0, episode, own.start_utc_s)
    for hour in range(1, 20):
        batch.advance(np.array([hour * HOUR]))
        known = np.isfinite(batch.announced_end_s[0])
        assert not known[~first].any()
        assert (batch.announced_end_s[0, known] <= hour * HOUR + 60.0).all()


def test_zones_of_models_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"zones: \(0, 2\), expected numbers below the 2 models"):
        make_availability({"kind": "by-zone", "zones": [0, 2]})
    with pytest.raises(ValueError, match="spott"):
        make_availability({"kind": "by-zone", "of": ["spott"], "zones": [0]})
