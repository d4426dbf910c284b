"""Features of an observation: their names, order and meaning, which the documentation shows too."""

from __future__ import annotations

from ..scenario import LEAKAGE, Scenario

CLIENT_TABLE = {
    "available": "1 if the client could be invited now",
    "session_age": "how long its session has lasted, log scale to a week",
    "end_announced": "1 if the end of its session is announced",
    "announced_left": "time to the announced end, 0.5 at one hour; 1 if not announced",
    "will_finish_short": "margin of the announced end over a round of the fewest steps; 0 = just enough",
    "will_finish_long": "the same for a round of the most steps",
    "forecast_near": "forecast probability of being available at the first lead",
    "forecast_far": "the same at the last lead",
    "finish_short": "chance to stay until a round of the fewest steps is answered: an announced end decides, "
    "else the forecast",
    "finish_middle": "the same for a round of the middle step level",
    "finish_long": "the same for a round of the most steps",
    "step_time": "seconds per step, 0 where the middle step level takes 10 minutes",
    "transfer_time": "seconds to move the model both ways, and its set-up, 0 at one minute",
    "round_time": "seconds of a round of the middle step level, 0 at the deadline",
    "points_short": "points a round of the fewest steps would cost in bytes and emissions, 0 at one point",
    "points_long": "the same for a round of the most steps",
    "time_points": "points the hours of a round of the middle step level would cost, 0 at one point",
    "carbon_now": "intensity of its grid, 0.5 at 300 g/kWh",
    "carbon_rank": "the same relative to the mean of the zones, negative = cleaner",
    "carbon_ahead": "best forecast intensity relative to now, negative = cleaner hours come",
    "samples": "training samples it holds, log scale to 1000",
    "samples_sent": "share of them that came from the hub",
    "storage_left": "share of its storage that is free",
    "target_weight": "its share in the objective, 0.5 at 1/N",
    "loss_known": "1 if it has reported a loss",
    "last_loss": "the loss last reported, 0.5 at 1; 0 if none",
    "last_norm": "length of its last update, 0.5 at 1",
    "staleness": "rounds since it last completed, 0.5 at 8",
    "invited_share": "invitations per round so far",
    "completed_share": "completed invitations; 1 if never invited",
    "seen_share": "share of the rounds and waits at whose beginning it was available",
    "setup": "share of a round of the middle step level that fetching its set-up would take; 0 = warm",
    "speed_rank": "minus the logarithm of the seconds of a round of the middle step level, in deviations "
    "from the mean of the available clients: 1 at three of them; 0 for clients that are away",
    "points_rank": "the same of minus the logarithm of the points it would cost",
    "loss_rank": "the same of the loss last reported; 0 if none",
    "staleness_rank": "the same of the logarithm of the rounds since it last completed",
    "samples_rank": "the same of the logarithm of 1 plus the samples it holds",
}
"""Columns of the observation `clients`, in order, and what they mean."""

SERVER_TABLE = {
    "rounds_done": "rounds done of the limit",
    "hours_done": "hours done, 0.5 at 24",
    "accuracy": "validation accuracy",
    "loss": "validation loss, 0.5 at 1",
    "below_best": "best validation accuracy so far minus the present one, tanh of 10 times",
    "recent_gain": "accuracy gained over the last five training rounds, tanh of 10 times",
    "gain_1": "accuracy gained in the last training round, tanh of 10 times",
    "gain_2": "the same in the one before",
    "gain_3": "the same in the one before that",
    "drop_1": "by how much the validation loss fell in the last training round, tanh of 3 times",
    "drop_2": "the same in the one before",
    "drop_3": "the same in the one before that",
    "points_spent": "points spent so far, log scale, 0 at one point",
    "net_points": "points of accuracy minus points spent, tanh of a hundredth",
    "last_points": "points that the last round cost, log scale, 0 at one point",
    "gain_per_point": "points gained in the last round per point it cost, tanh of a fifth",
    "last_invited": "clients invited to the last round, 0.5 at 4",
    "last_completed": "share of them whose updates arrived",
    "available_share": "share of the clients that are available",
    "reported_share": "share of the clients that have reported a loss",
    "cleanest_now": "intensity of the cleanest zone, 0.5 at 300 g/kWh",
    "carbon_ahead": "best forecast intensity of any zone relative to now, negative = cleaner hours come",
    "price_per_hour": "points per hour, log scale, 0 at 0.3",
    "price_per_gb": "points per GB, log scale, 0 at 0.3",
    "price_per_kg": "points per kg CO2e, log scale, 0 at 100",
    "time_left": "hours left, log scale, 0 at a day; 1 if there is no budget",
    "hours_left": "hours left as a share of the largest budget that an episode may have",
    "gigabytes_left": "the same of GB; 1 if there is no budget",
    "kilograms_left": "the same of kg CO2e; 1 if there is no budget",
    "utc_sin": "sine of the hour of the day, UTC",
    "utc_cos": "cosine of it",
    "label_skew": "mean distance of a client's label mix from all clients', 0 = alike",
    "announced_share": "share of session ends that are announced in this pool, as far as that is known",
    "overhead_time": "the server's seconds per round, 0.5 at 10 minutes",
    "step_time": "the median client's seconds per step, log scale, 0 at two minutes",
    "sample_size": "bytes of a sample, log scale, 0 at a megabyte",
    "sample_price": "points for the bytes of 1000 samples sent, 0.5 at one point",
}
"""Entries of the observation `server`, in order, and what they mean.

Log scales are tanh of a third of the logarithm: a factor of 20 is 0.76.
"""

ZONE_TABLE = {
    "carbon_now": "intensity now, 0.5 at 300 g/kWh",
    "local_sin": "sine of the local hour",
    "local_cos": "cosine of it",
}
"""First columns of the observation `zones`, in order, and what they mean; forecasts follow, one per lead."""

STREAM_CLIENT_TABLE = {
    "arrived": "requests since the last decision, log scale to 1000",
    "filled": "share of its memory that is filled",
    "memory_age": "mean age of the rows in memory, 0.5 at 4 hours",
    "version_lag": "changes of the model that its version misses, 0.5 at 4",
    "right": "share of its known answers that were right, over 2 hours; -1 before the first label",
}
"""Columns of `clients` that follow in worlds with arrivals."""

STREAM_SERVER_TABLE = {
    "right_fast": "share of the known answers that were right, over one hour",
    "right_slow": "the same over eight hours",
    "right_drop": "by how much the second is above the first, tanh of 5 times",
    "page_hinkley": "Page's statistic of wrong answers over its threshold; 1: something has changed",
    "requests_hour": "points that the requests of an hour are worth, log scale, 0 at two points",
}
"""Entries of `server` that follow in worlds with arrivals."""

EXIT_CLIENT_TABLE = {
    "asked": "share of its requests since the last decision that it asked the hub; 0 without any",
}
"""Columns of `clients` that follow in worlds with early exits."""

EXIT_SERVER_TABLE = {
    "kept_right": "share of right ones among the known answers that clients did not ask for, over an hour",
    "hub_right": "the same of the hub's",
    "ask_price": "right answers that a question to the hub is worth, up to 1",
    "worth_asking_below": "below which confidence asking pays: the hub's share, hopefully, less the price",
}
"""Entries of `server` that follow in worlds with early exits."""

LEAKAGE_SERVER_TABLE = {
    "price_per_auc": "points per hundredth of an eavesdropper's area above one half, log scale, 0 at 1",
}
"""Entries of `server` that follow in worlds where leakage has a price."""

CLIENT_FEATURES = tuple(CLIENT_TABLE)
SERVER_FEATURES = tuple(SERVER_TABLE)
ZONE_FEATURES = tuple(ZONE_TABLE)
FEATURES = {
    "clients": (*CLIENT_FEATURES, *STREAM_CLIENT_TABLE, *EXIT_CLIENT_TABLE),
    "server": (*SERVER_FEATURES, *STREAM_SERVER_TABLE, *EXIT_SERVER_TABLE, *LEAKAGE_SERVER_TABLE),
}
"""Names of all columns of an observation's parts, which may be shown in part."""


def features_of(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Names of the columns that a world's observation shows: what it does not have is left out."""
    clients, server = CLIENT_FEATURES, SERVER_FEATURES
    if scenario.arrivals is not None:
        clients, server = (*clients, *STREAM_CLIENT_TABLE), (*server, *STREAM_SERVER_TABLE)
    if scenario.exits is not None:
        clients, server = (*clients, *EXIT_CLIENT_TABLE), (*server, *EXIT_SERVER_TABLE)
    if LEAKAGE in scenario.reward_terms:
        server = (*server, *LEAKAGE_SERVER_TABLE)
    return {"clients": clients, "server": server}
