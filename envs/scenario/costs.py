"""What a scenario charges and allows: the job, its prices, its budgets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ...common.ranges import Drawn, largest
from ...common.settings import unless_said

REWARD_TERMS = ("accuracy", "time", "communication", "emissions")
"""Order of the vector reward; costs are negative. Where leakage has a price, `LEAKAGE` follows."""
LEAKAGE = "leakage"
"""The term of what an eavesdropper could learn, in worlds with `Preferences.price_per_auc`."""

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0, le=1e12)]  # times any amount it stays a finite number


class Workload(Drawn):
    """What a round is charged for: a nominal job, or the model that is really trained.

    By default a small model is trained as the proxy of a larger job, whose bytes and seconds are charged.
    `model_bytes: actual` and `sample_bytes: actual` charge the trained model's own size instead.

    What differs between operators may be a range, from which every episode draws its own: a hospital's image
    is not a phone's message, and neither is its server.

    Attributes:
        model_bytes: bytes of one model transfer; 44.7 MB is a ResNet-18 in float32.
        sample_bytes: bytes of one training sample; 110 kB is an ImageNet photograph.
        setup_bytes: what a client fetches once per session before the model: a container image, the frozen
            part of a model, an index; charged like every byte. A lost or cancelled download is charged as far
            as it came and begins anew. 0, the default: every client is always ready. Orders of magnitude,
            assumptions: 3 to 9 GB for an image of PyTorch with CUDA (compressed, unpacked), 14 GB for the
            frozen weights of a 7B language model in 16 bits, some MB for an app's update on a phone.
        step_s: seconds of one local step on the reference device.
        overhead_s: the server's seconds per round.
        deadline_s: a round is closed at the latest after this.
    """

    model_bytes: Positive | Literal["actual"] = 44.7e6
    sample_bytes: Positive | tuple[Positive, Positive] | Literal["actual"] = 110e3
    setup_bytes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    step_s: Positive | tuple[Positive, Positive] = 12.0
    overhead_s: NotNegative | tuple[NotNegative, NotNegative] = 10.0
    deadline_s: Positive | tuple[Positive, Positive] = 3600.0

    @property
    def longest_round_s(self) -> float:
        """Seconds that a round may take in any episode."""
        return largest(self.deadline_s) + largest(self.overhead_s)


class Preferences(Drawn):
    """Accuracy points charged per unit of each cost: a number, or a range to draw from per episode.

    "Never" is no price: what a run may spend at most is said by its budgets.

    Attributes:
        price_per_hour: per hour.
        price_per_gb: per GB moved.
        price_per_kg: per kg CO2e.
        price_per_auc: per hundredth by which an eavesdropper's chance to tell rows that clients trained on
            from others is above one half, see `fl_core.leakage.Exposure`; 0, the default: nobody listens.
    """

    price_per_hour: Price | tuple[Price, Price] = 0.0
    price_per_gb: Price | tuple[Price, Price] = 0.0
    price_per_kg: Price | tuple[Price, Price] = 0.0
    price_per_auc: Price | tuple[Price, Price] = 0.0

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the terms of the reward, in the order of the vector."""
        return (*REWARD_TERMS, LEAKAGE) if largest(self.price_per_auc) > 0 else REWARD_TERMS

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return unless_said(self, write(self), "price_per_auc")


class Budgets(Drawn):
    """What the whole run may spend: a number, or a range to draw from per episode.

    Exhausting one ends the episode. A coordinator knows its budgets (`Terms.budget_left`); a drawn budget of
    hours is a deadline that is near for some operators and leaves others time to wait.
    """

    hours: Positive | tuple[Positive, Positive] = 48.0
    gigabytes: Positive | tuple[Positive, Positive] | None = None
    kilograms: Positive | tuple[Positive, Positive] | None = None

    @property
    def largest(self) -> tuple[float, float, float]:
        """The most that an episode may have of hours, GB and kg; infinity where there is no limit."""
        hours, gigabytes, kilograms = (
            float("inf") if value is None else largest(value)
            for value in (self.hours, self.gigabytes, self.kilograms)
        )
        return hours, gigabytes, kilograms
