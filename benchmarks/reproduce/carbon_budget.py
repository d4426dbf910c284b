"""Green FL: accuracy under a carbon budget, by slack, fairness and fine-tuning.

    python benchmarks/reproduce/carbon_budget.py

Published: Arputharaj, Rodio & Neglia, "Green Federated Learning via Carbon-Aware Client and Time Slot
Scheduling", 2025, Table II and Figures 2, 3 and 6: seven regions, MNIST and a CNN, Dirichlet 0.5, five local
steps, one round an hour, 0.3 kW; T = 50 rounds with everybody cost 9.73 kg, budgets from 5.7 to 82 % of that.
The baseline trains everybody every round until the budget is spent.

Here: digits and a linear model, seven clients in seven zones with generated intensities (ES, GB, California,
Ontario, PJM, DE, south-central Brazil), the same budgets as shares, eight episodes; schedules by
`slot_greedy.green_schedule`, coefficients (1/7) / pi_k over their sum before the fine-tuning (the paper's
own, not over their sum, make a slot with one participant a step several times too long; one row shows them),
plain means in it. Test accuracy after the last round, at the best of the paper's three learning rates by
validation.
Agreement: gains and losses have the published sign and are at least a point where the published one is, or
within a point of it; the rest as written.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from verdicts import Verdicts

from frugalfl.agents.schedulers.parts import full_rounds, green_schedule
from frugalfl.envs.scenario import load_scenario
from frugalfl.envs.world import FederatedWorld
from frugalfl.fl_core.federation import TrainingOrders

ZONES = ["ES", "GB", "US-CAL-CISO", "CA-ON", "US-MIDA-PJM", "DE", "BR-CS"]
EPISODES, ROUNDS, STEPS, KILOWATTS = 8, 50, 5, 0.3
BUDGETS = {0.057: (93.90, 98.26), 0.077: (95.03, 98.27), 0.097: (95.83, 98.33), 0.20: (97.42, 98.86)}
BUDGETS |= {0.44: (98.36, 99.01), 0.82: (98.82, 99.02)}
"""Share of the full budget: published accuracy of the baseline and of the best slack."""
RATES = (10**-1, 10**-1.5, 10**-2)
SLACKS = (10, 30, 50, 70, 110, 130)
ALPHA = 0.1


def make_world(learning_rate: float, hours: float) -> FederatedWorld:
    """Seven clients, one per zone, at the start of the episodes."""
    scenario = load_scenario(
        "phones",
        clients=7,
        zones=7,
        carbon=ZONES,
        partition={"kind": "dirichlet", "alpha": 0.5},
        training={"learning_rate": learning_rate, "batch_size": 128},
        budgets={"hours": hours},
    )
    world = FederatedWorld(scenario, EPISODES, "val")
    world.reset(np.ones(EPISODES, dtype=bool), np.arange(EPISODES))
    return world


class Problem:
    """Eight episodes' data, and what each client would emit in each hourly slot."""

    def __init__(self) -> None:
        slots = ROUNDS + max(SLACKS)
        self.worlds = [make_world(rate, slots + 10) for rate in RATES]
        self.world = self.worlds[0]
        zone = self.world.situation().clients.zone
        leads_s = 3600.0 * np.arange(slots)
        carbon = self.world.carbon.true_ahead(np.zeros(EPISODES), leads_s)
        self.grams = KILOWATTS * np.take_along_axis(carbon, zone[:, :, None], axis=1)
        self.full_g = self.grams[:, :, :ROUNDS].sum(axis=(1, 2))

    def accuracy(self, schedules: Sequence[np.ndarray], tuning: int, unbiased: bool = False) -> float:
        """Mean test accuracy, in percent, after each episode's own schedule bool `[7, S]`."""
        scores = [self._trained(world, schedules, tuning, unbiased) for world in self.worlds]
        return max(scores)[1]

    def _trained(
        self, world: FederatedWorld, schedules: Sequence[np.ndarray], tuning: int, unbiased: bool
    ) -> tuple[float, float]:
        """Mean validation and test accuracy, in percent."""
        core = world.source.make_core(EPISODES)
        for env in range(EPISODES):
            drawn = world.source.draw(env)
            core.reset(env, drawn.task, drawn.model_seed)
        ends = np.array([np.flatnonzero(each.any(axis=0))[-1] + 1 for each in schedules])
        scores = np.zeros((2, EPISODES))
        for slot in range(int(ends.max())):
            chosen = (
                np.array([each[:, min(slot, each.shape[1] - 1)] for each in schedules])
                & (slot < ends)[:, None]
            )
            weight = np.array(
                [
                    coefficients(each, int(end), tuning, slot, unbiased)
                    for each, end in zip(schedules, ends, strict=True)
                ]
            )
            steps = np.where(chosen, STEPS, 0).astype(np.int32)
            core.run_round(TrainingOrders(steps, weight * chosen, np.full(EPISODES, slot)))
            last = slot + 1 == ends
            if last.any():
                measured = np.stack([core.evaluate(part=part)[0] for part in ("val", "test")])
                scores = np.where(last, measured, scores)
        return 100 * float(scores[0].mean()), 100 * float(scores[1].mean())

    def baseline(self, share: float) -> float:
        """Everybody in every round until the budget is spent."""
        rounds = [max(full_rounds(self.grams[env], share * self.full_g[env]), 1) for env in range(EPISODES)]
        return self.accuracy([np.ones((7, each), dtype=bool) for each in rounds], tuning=max(rounds))

    def green(
        self, share: float, slack: int, alpha: float = ALPHA, tuning: int = 1, unbiased: bool = False
    ) -> float:
        """The schedule of one slack; nan where the fine-tuning alone exceeds the budget."""
        plans = []
        for env in range(EPISODES):
            budget_g = share * self.full_g[env]
            rounds = max(full_rounds(self.grams[env], budget_g), 1)
            plan = green_schedule(self.grams[env], budget_g, alpha, rounds, [slack], tuning)
            if plan is None:
                return float("nan")
            plans.append(plan.chosen)
        return self.accuracy(plans, tuning, unbiased)


def coefficients(chosen: np.ndarray, end: int, tuning: int, slot: int, unbiased: bool) -> np.ndarray:
    """Each client's coefficient in one slot: (1/7) / pi, or that over its sum; 1/7 in the fine-tuning."""
    if slot >= end - tuning:
        return np.full(7, 1 / 7)
    before = max(end - tuning, 1)
    share = np.maximum(chosen[:, :before].sum(axis=1) / before, 1 / before)
    weight = chosen[:, slot] / share / 7
    return weight if unbiased else weight / max(float(weight.sum()), 1e-12)


def saved(problem: Problem, slack: int, rounds: int = 30) -> float:
    """Share of emissions saved by the cheapest `rounds` of `rounds + slack` slots per client."""
    window = problem.grams[:, :, : rounds + slack]
    cheapest = np.sort(window, axis=2)[:, :, :rounds].sum()
    return 1 - float(cheapest / problem.grams[:, :, :rounds].sum())


def table_two(problem: Problem, verdicts: Verdicts) -> dict[float, float]:
    """Budget against accuracy, with the best slack; returns our gain by budget."""
    gains, best_of = {}, []
    for share, (old, new) in BUDGETS.items():
        plain = problem.baseline(share)
        scores = {slack: problem.green(share, slack) for slack in SLACKS}
        slack = max(scores, key=lambda each: np.nan_to_num(scores[each], nan=-1.0))
        gains[share] = scores[slack] - plain
        best_of.append(scores[slack])
        claim = f"budget {100 * share:.1f} %: all until spent -> best slack"
        ours = f"{plain:.1f} -> {scores[slack]:.1f} (s = {slack})"
        agrees = gains[share] >= 1.0 if new - old >= 1.0 else abs(gains[share] - (new - old)) <= 1.0
        verdicts.add(claim, f"{old:.1f} -> {new:.1f}", ours, agrees)
        print(f"  {share}: baseline {plain:.2f}", {key: round(value, 2) for key, value in scores.items()})
    tight, loose = gains[0.057], gains[0.82]
    verdicts.add(
        "gain from the slack, tightest against loosest budget",
        "4.4 > 0.2 points",
        f"{tight:.1f}, {loose:.1f} points",
        tight > loose,
    )
    growing = all(later >= earlier - 0.5 for earlier, later in itertools.pairwise(best_of))
    verdicts.add(
        "accuracy with the best slack rises with the budget",
        "98.3 ... 99.0",
        " ".join(f"{each:.1f}" for each in best_of),
        growing,
    )
    return gains


def main() -> None:
    """Print the figures and the verdicts."""
    problem, verdicts = Problem(), Verdicts("Carbon budget against accuracy")
    table_two(problem, verdicts)
    plain = [problem.green(0.057, slack, unbiased=True) for slack in (30, 110)]
    verdicts.add(
        "5.7 %, too large a slack (s = 110), coefficients (1/7) / pi",
        "98.3 -> 75.8",
        f"{plain[0]:.1f} -> {plain[1]:.1f}",
        plain[1] < plain[0] - 1,
    )
    verdicts.add(
        "the same, coefficients normalised to a sum of one",
        "not tried",
        f"{problem.green(0.057, 110):.1f}",
        None,
    )
    for share, published in ((0.20, 8.0), (0.30, 5.0)):
        fair, greedy = (problem.green(share, 50, alpha) for alpha in (ALPHA, 1.0))
        verdicts.add(
            f"budget {100 * share:.0f} %, alpha 0.1 over alpha 1",
            f"+{published:.0f} points",
            f"{fair - greedy:+.1f} points",
            fair - greedy >= 1,
        )
    fair, greedy = (problem.green(0.077, 50, alpha) for alpha in (ALPHA, 1.0))
    verdicts.add(
        "budget 7.7 % (< 1 kg), alpha 0.1 against alpha 1",
        "fair is worse",
        f"{fair - greedy:+.1f} points",
        fair < greedy,
    )
    one, three = (problem.green(0.097, 50, tuning=tuning) for tuning in (1, 3))
    verdicts.add(
        "budget 9.7 %, fine-tuning of 1 against 3 slots",
        "1 is better",
        f"{one:.1f}, {three:.1f}",
        one >= three,
    )
    few, many = saved(problem, 20), saved(problem, 150)
    verdicts.add(
        "emissions saved with 20 h and with 150 h (236 h) of slack",
        "up to 20 %, up to 60 %",
        f"{100 * few:.0f} %, {100 * many:.0f} %",
        0 < few <= 0.3 and few < many <= 0.65,
    )
    verdicts.show()


if __name__ == "__main__":
    main()
