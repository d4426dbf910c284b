"""Classes of devices: speed, bandwidth and power, drawn from measured distributions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from ...common.arrays import Floats, Ints
from ...common.registry import Registry
from ...common.settings import Settings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]

_BYTES_PER_MBIT = 1e6 / 8.0


@dataclass(frozen=True)
class Devices:
    """The machines of N clients."""

    step_factor: Floats  # [N] time of one local step over that of the reference device of the class
    down_bytes_per_s: Floats  # [N]
    up_bytes_per_s: Floats  # [N]
    compute_watts: Floats  # [N] power drawn in addition by training
    network_kwh_per_gb: Floats  # [N] energy of the network per 1e9 bytes moved


@runtime_checkable
class DeviceSource(Protocol):
    """Anything that draws devices."""

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The devices of `num_clients` clients."""
        ...


DEVICES: Registry[DeviceSource] = Registry("devices", DeviceSource)
"""Classes of devices by name, a file of capacities ("file") among them."""


class Kinds(Settings):
    """Machines of several kinds, each with the share of the clients that have one."""

    KINDS: ClassVar[tuple[str, ...]]  # the fields that say the shares

    @model_validator(mode="after")
    def _some_device(self) -> Self:
        if not sum(self._shares) > 0:
            names = f"{', '.join(self.KINDS[:-1])} and {self.KINDS[-1]}"
            raise ValueError(f"expected at least one share of {names} above 0")
        return self

    @property
    def _shares(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in self.KINDS)

    def choose(self, size: int, rng: np.random.Generator) -> Ints:
        """`[size]`, each client's kind, as an index of `KINDS`."""
        shares = self._shares
        return np.minimum(np.searchsorted(_limits(shares), rng.random(size), side="right"), len(shares) - 1)


@DEVICES.register("phones")
class PhoneSettings(Settings):
    """Phones; the reference is the median phone.

    Attributes:
        step_sigma: spread of the logarithm of the step time; ResNet latency of 978 phones, FLHetBench (2024):
            sigma .78, p5 60 ms, median 172 ms, p95 559 ms.
        down_mbit_per_s: median download; FedScale capacity sample: 5.4 Mbit/s.
        bandwidth_sigma: spread of its logarithm; the same: 1.16. Not correlated with speed (log r = -.08).
        up_over_down: upload over download; FLASH Wi-Fi, 19 users: .71.
        compute_watts: while training; 2-5 W is common, 3 W an assumption that was not measured.
        network: "wifi" (.03 kWh/GB, fixed access) or "mobile" (.14), EU ICT impact study 2020; average
            attributions, not marginal.
    """

    step_sigma: Share = 0.78
    down_mbit_per_s: Positive = 5.4
    bandwidth_sigma: Share = 1.16
    up_over_down: Positive = 0.71
    compute_watts: Positive = 3.0
    network: Literal["wifi", "mobile"] = "wifi"

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The phones of `num_clients` clients."""
        step = np.exp(self.step_sigma * _cut_normal(rng, num_clients))
        down = self.down_mbit_per_s * np.exp(self.bandwidth_sigma * _cut_normal(rng, num_clients))
        kwh = 0.03 if self.network == "wifi" else 0.14
        return _devices(step, down, self.up_over_down, np.full(num_clients, self.compute_watts), kwh)


@DEVICES.register("volunteers")
class VolunteerSettings(Kinds):
    """Laptops, desktops and gaming GPUs lent by volunteers; the reference is the desktop.

    Attributes:
        laptop: share of laptops: 15 W (median TDP of U-class processors, codecarbon 3.3.2) and half a
            desktop's speed (assumed).
        desktop: share of desktops: 65 W (median TDP of Core and Ryzen, codecarbon 3.3.2).
        gpu: share of desktops with a GPU: 170 W (RTX 3060, maker's figure as recalled), eight times a
            desktop's speed (assumed).
        step_sigma: spread of the logarithm of the step time within a kind of machine (assumed).
        down_mbit_per_s: median download; FLASH Wi-Fi, 19 users: 4.3 MB/s.
        bandwidth_sigma: spread of its logarithm (assumed).
        up_over_down: upload over download; FLASH: .71.
        network_kwh_per_gb: fixed access, EU ICT impact study 2020.
    """

    KINDS = ("laptop", "desktop", "gpu")

    laptop: Share = 0.35
    desktop: Share = 0.45
    gpu: Share = 0.2
    step_sigma: Share = 0.3
    down_mbit_per_s: Positive = 34.4
    bandwidth_sigma: Share = 0.7
    up_over_down: Positive = 0.71
    network_kwh_per_gb: Share = 0.03

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The machines of `num_clients` volunteers."""
        kind = self.choose(num_clients, rng)
        step = np.array([2.0, 1.0, 0.125])[kind] * np.exp(self.step_sigma * _cut_normal(rng, num_clients))
        down = self.down_mbit_per_s * np.exp(self.bandwidth_sigma * _cut_normal(rng, num_clients))
        watts = np.array([15.0, 65.0, 170.0])[kind]
        return _devices(step, down, self.up_over_down, watts, self.network_kwh_per_gb)


@DEVICES.register("spot")
class SpotSettings(Kinds):
    """Preemptible GPU instances; the reference is the V100.

    Speeds and powers are those of FedZero's code (Wiesner et al., e-Energy 2024): T4 183 images/s at 70 W,
    V100 639 at 300 W, A100 1,237 at 400 W.

    Attributes:
        t4: share of T4.
        v100: share of V100.
        a100: share of A100.
        step_sigma: spread of the logarithm of the step time within a kind (assumed).
        down_mbit_per_s: median bandwidth in both directions (assumed: 1 Gbit/s to the coordinator).
        bandwidth_sigma: spread of its logarithm (assumed).
        network_kwh_per_gb: fixed network, EU ICT impact study 2020.
    """

    KINDS = ("t4", "v100", "a100")

    t4: Share = 0.4
    v100: Share = 0.4
    a100: Share = 0.2
    step_sigma: Share = 0.05
    down_mbit_per_s: Positive = 1000.0
    bandwidth_sigma: Share = 0.3
    network_kwh_per_gb: Share = 0.03

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The instances of `num_clients` nodes."""
        kind = self.choose(num_clients, rng)
        step = np.array([639.0 / 183.0, 1.0, 639.0 / 1237.0])[kind]
        step = step * np.exp(self.step_sigma * _cut_normal(rng, num_clients))
        down = self.down_mbit_per_s * np.exp(self.bandwidth_sigma * _cut_normal(rng, num_clients))
        return _devices(step, down, 1.0, np.array([70.0, 300.0, 400.0])[kind], self.network_kwh_per_gb)


@DEVICES.register("gpus")
class GpuSettings(Kinds):
    """GPUs that train language models, rented and lent; the reference is the A100.

    Speeds are the makers' dense bf16 figures (fp16 for the V100), 989, 312, 165 and 125 TFLOP/s, times what
    of them is used: 36 to 41 % are reported for training over the internet (INTELLECT-1, arXiv 2412.01152),
    hence 380, 120, 60 and, for want of bf16, 40. Watts are the makers' board powers.

    Attributes:
        h100: share of H100, 700 W.
        a100: share of A100, 400 W.
        rtx4090: share of RTX 4090, 450 W, which stand at people's homes.
        v100: share of V100, 300 W.
        step_sigma: spread of the logarithm of the step time within a kind (assumed).
        rack_mbit_per_s: median bandwidth of the others in both directions (assumed: 1 Gbit/s).
        home_down_mbit_per_s: median download at home (assumed).
        home_up_mbit_per_s: median upload at home (assumed).
        bandwidth_sigma: spread of their logarithms (assumed).
        network_kwh_per_gb: fixed network, EU ICT impact study 2020.
    """

    KINDS = ("h100", "a100", "rtx4090", "v100")

    h100: Share = 0.15
    a100: Share = 0.3
    rtx4090: Share = 0.35
    v100: Share = 0.2
    step_sigma: Share = 0.1
    rack_mbit_per_s: Positive = 1000.0
    home_down_mbit_per_s: Positive = 100.0
    home_up_mbit_per_s: Positive = 20.0
    bandwidth_sigma: Share = 0.4
    network_kwh_per_gb: Share = 0.03

    def draw(self, num_clients: int, rng: np.random.Generator) -> Devices:
        """The GPUs of `num_clients` workers."""
        kind = self.choose(num_clients, rng)
        step = np.array([120.0 / 380.0, 1.0, 120.0 / 60.0, 120.0 / 40.0])[kind]
        step = step * np.exp(self.step_sigma * _cut_normal(rng, num_clients))
        home = kind == 2
        down = np.where(home, self.home_down_mbit_per_s, self.rack_mbit_per_s)
        down = down * np.exp(self.bandwidth_sigma * _cut_normal(rng, num_clients))
        up_over_down = np.where(home, self.home_up_mbit_per_s / self.home_down_mbit_per_s, 1.0)
        watts = np.array([700.0, 400.0, 450.0, 300.0])[kind]
        return _devices(step, down, up_over_down, watts, self.network_kwh_per_gb)


def _devices(
    step: Floats, down_mbit: Floats, up_over_down: float | Floats, watts: Floats, kwh: float
) -> Devices:
    down = down_mbit * _BYTES_PER_MBIT
    return Devices(step, down, down * up_over_down, watts, np.full(step.size, kwh))


@lru_cache(maxsize=64)
def _limits(shares: tuple[float, ...]) -> Floats:
    limits: Floats = np.cumsum(shares) / np.sum(shares)
    return limits


def _cut_normal(rng: np.random.Generator, size: int) -> Floats:
    """Standard normal without its tails: no device of a population is absurd."""
    return np.minimum(np.maximum(rng.standard_normal(size), -2.5), 2.5)
