"""Error triggers: train when a detector says that answers have become worse, until they are good again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....common.arrays import Bools, Floats
from ....envs.contract import Situation
from ..base import State, knob
from .detectors import BOUNDS, Adwin, Ddm, Detector, PageHinkley
from .paced import Bursts, flattened, news

_ENOUGH = 20.0
"""Known answers that tell a share of errors."""


@dataclass(kw_only=True)
class Triggered(Bursts):
    """A burst of rounds at the beginning and after every alarm of a detector fed with the known answers.

    The first burst has `first_rounds` rounds. A later one ends when no larger a share of the latest answers
    is wrong than at the end of the best burst so far, plus `slack`, or after `burst_rounds`: the new concept
    may be harder. A new burst ends the old window: the detector starts afresh when training ends.
    """

    first_rounds: int = knob(12, "rounds at the beginning", low=2, high=60, log=True)
    burst_rounds: int = knob(12, "rounds after an alarm, at most", low=1, high=60, log=True)
    slack: float = knob(0.03, "share of errors above the best that is good enough", low=0.0, high=0.3)

    def detector(self) -> Detector:
        """The detector with the rule's settings."""
        raise NotImplementedError

    def fresh_state(self, num_envs: int, num_clients: int) -> State:
        """Adds the burst, the errors that are normal, and what the detector has seen."""
        burst: State = {
            "left": np.full(num_envs, self.first_rounds, dtype=np.int64),  # [E] rounds of this burst
            "alarms": np.zeros(num_envs, dtype=np.int64),  # [E] so far
            "normal": np.ones(num_envs),  # [E] least share of errors at the end of a burst
            "errors": np.ones(num_envs),  # [E] share of errors among the latest answers
        }
        seen = {f"seen_{key}": array for key, array in self.detector().fresh(num_envs).items()}
        return super().fresh_state(num_envs, num_clients) | burst | seen

    def wanted(self, situation: Situation) -> Bools:
        """While a burst lasts; without streams, until accuracy flattens."""
        state, (answers, wrong) = self.state, news(situation)
        told = answers >= _ENOUGH
        state["errors"] = np.where(told, wrong / np.maximum(answers, 1), state["errors"])
        bursting = state["left"] > 0
        good = told & (state["alarms"] > 0) & (state["errors"] <= state["normal"] + self.slack)
        if situation.stream is None:
            good = flattened(situation, 1.0)
        ended = bursting & good & (state["left"] < self.burst_rounds)
        state["left"] = np.where(ended, 0, state["left"])
        risen = self._watch(answers, wrong, bursting)
        state["alarms"] = state["alarms"] + risen
        state["left"] = np.where(risen, self.burst_rounds, state["left"])
        return np.asarray(state["left"] > 0)

    def over(self, situation: Situation) -> Bools:
        """In a world without streams nothing will ever be known."""
        return np.asarray((self.state["left"] <= 0) & (situation.stream is None))

    def learn(self, situation: Situation, trained: Bools) -> None:
        """One round less; at the last one's end what is normal is known."""
        super().learn(situation, trained)
        state, some = self.state, trained.any(axis=1) & self.state["burst"]
        state["left"] = state["left"] - some
        ends = some & (state["left"] <= 0)
        state["normal"] = np.where(ends, np.minimum(state["normal"], state["errors"]), state["normal"])

    def _watch(self, answers: Floats, wrong: Floats, bursting: Bools) -> Bools:
        """Where the detector, which sees nothing during a burst, says that errors have risen, `[E]`."""
        detector = self.detector()
        seen = {key[5:]: array for key, array in self.state.items() if key.startswith("seen_")}
        quiet = ~bursting
        seen, risen = detector.update(seen, answers * quiet, wrong * quiet)
        fresh = detector.fresh(len(answers))
        for key, array in seen.items():
            clear = (bursting | risen).reshape(-1, *[1] * (array.ndim - 1))
            self.state[f"seen_{key}"] = np.where(clear, fresh[key], array)
        return np.asarray(risen & quiet)


@dataclass(kw_only=True)
class DdmTrigger(Triggered):
    """Error trigger by DDM: retrain when the error rate leaves its least upper limit (Gama et al. 2004).

    Random m participants, in bursts; see `Triggered` and `detectors.Ddm`.
    Paper: Gama, Medas, Castillo & Rodrigues, "Learning with Drift Detection", SBIA 2004.
    Needs: answers known to be right or wrong; in a world without streams it trains until accuracy flattens
    and stops.
    Aggregation: the world's aggregator.
    Defaults: 3 deviations and 30 answers without a verdict as in the paper, bursts of 12 rounds.
    """

    name: ClassVar[str] = "ddm"

    level: float = knob(3.0, "deviations above the least error rate", low=1.0, high=12.0, log=True)
    warm_start: int = knob(30, "answers before the first verdict", low=10, high=1000, log=True)

    def detector(self) -> Detector:
        """DDM."""
        return Ddm(self.level, self.warm_start)


@dataclass(kw_only=True)
class PageHinkleyTrigger(Triggered):
    """Error trigger by Page-Hinkley: retrain when errors above their running mean add up (Page 1954).

    Random m participants, in bursts; see `Triggered` and `detectors.PageHinkley`.
    Paper: Page, "Continuous Inspection Schemes", Biometrika 41, 1954; as a detector of drift Gama et al., "A
    Survey on Concept Drift Adaptation", ACM Computing Surveys 46(4), 2014.
    Needs: answers known to be right or wrong; in a world without streams it trains until accuracy flattens
    and stops.
    Aggregation: the world's aggregator.
    Defaults: delta 0.005 and a limit of 50 errors as in libraries, bursts of 12 rounds.
    """

    name: ClassVar[str] = "page-hinkley"

    delta: float = knob(0.005, "rise of the error rate that does not count", low=0.0, high=0.2)
    limit: float = knob(50.0, "lambda, errors too many", low=3.0, high=500.0, log=True)

    def detector(self) -> Detector:
        """Page-Hinkley."""
        return PageHinkley(self.delta, self.limit)


@dataclass(kw_only=True)
class AdwinTrigger(Triggered):
    """Error trigger by ADWIN: retrain when a newer window has more errors (Bifet and Gavalda 2007).

    Random m participants, in bursts; see `Triggered` and `detectors.Adwin`.
    Paper: Bifet & Gavalda, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007.
    Needs: answers known to be right or wrong; in a world without streams it trains until accuracy flattens
    and stops.
    Aggregation: the world's aggregator.
    Defaults: delta 0.002 with the paper's bound by variance (`bound`), bursts of 12 rounds.
    """

    name: ClassVar[str] = "adwin"

    delta: float = knob(0.002, "confidence of a cut", low=1e-9, high=0.5, log=True)
    bound: str = knob("variance", "how far apart means must lie", choices=BOUNDS)

    def detector(self) -> Detector:
        """ADWIN."""
        return Adwin(self.delta, self.bound)
