"""The menu of an agent's actions: the levels of every decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ...common.settings import Settings
from ...fl_core.aggregation import FEWEST_BITS, MOST_BITS

MOST_STEPS = 100_000
"""Local steps of a round; each has its minibatch."""


class Levels(Settings):
    """The menu of the MultiDiscrete action.

    Attributes:
        wait_s: seconds to wait; the first is 0, train now; infinity ends the run.
        first_stop: training rounds before which an agent's end of the run is masked, so that one that tries
            everything sees what training brings: one choice in a few, taken at random, ends most runs before
            anything was learned. Who chooses it all the same plays a round in which nobody trains, and it
            counts as a repair. Schedulers may end a run at any time.
        quorum: shares of the invited updates to wait for.
        local_steps: local SGD steps; the first is 0, not invited.
        transfer_samples: samples to send along; the first is 0. More levels count where data lies at the hub.
        server_step: factors on the server's learning rate, 1 among them. With a single one the server's step
            is no decision: the action has no such part, and a plan with another factor is refused.
        upload_bits: bits of an update's coordinates on its way back, those of the scenario's `compression`
            among them, which is then of kind `rounded`; bytes and time of uploads follow. None, the default:
            no decision, the action has no such part.
        ask_below: confidences below which clients ask the hub, in worlds with `exits`; the last is what
            happens where a plan says nothing. With a single one it is no decision, and the action has no such
            part.
    """

    wait_s: tuple[Annotated[float, Field(ge=0, allow_inf_nan=True)], ...] = (
        0.0,
        1800.0,
        7200.0,
        float("inf"),
    )
    first_stop: Annotated[int, Field(ge=0)] = 0
    quorum: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.8, 1.0)
    local_steps: tuple[Annotated[int, Field(ge=0)], ...] = (0, 5, 10, 20, 40)
    transfer_samples: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    server_step: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = (1.0,)
    upload_bits: tuple[Annotated[int, Field(ge=FEWEST_BITS, le=MOST_BITS)], ...] = ()
    ask_below: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()

    @model_validator(mode="after")
    def _start_at_zero(self) -> Levels:
        for name in ("wait_s", "local_steps", "transfer_samples"):
            levels = getattr(self, name)
            if not levels or levels[0] != 0 or list(levels) != sorted(set(levels)):
                raise ValueError(f"{name}: {levels}, expected increasing levels that begin with 0")
        if len(self.wait_s) < 2 or len(self.local_steps) < 2 or not self.quorum:
            raise ValueError("levels: expected at least two waits, two step levels and one quorum")
        self._do_not_fill_the_memory()
        factors = self.server_step
        if 1.0 not in factors or list(factors) != sorted(set(factors)):
            raise ValueError(f"server_step: {factors}, expected increasing factors with 1 among them")
        if list(self.ask_below) != sorted(set(self.ask_below)):
            raise ValueError(f"ask_below: {self.ask_below}, expected increasing levels")
        bits = self.upload_bits
        if len(bits) == 1 or list(bits) != sorted(set(bits)):
            raise ValueError(f"upload_bits: {bits}, expected none, or two or more increasing levels")
        return self

    def _do_not_fill_the_memory(self) -> None:
        if max(self.local_steps) > MOST_STEPS:
            raise ValueError(f"local_steps: {max(self.local_steps)}, expected at most {MOST_STEPS}")
