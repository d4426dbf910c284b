"""Nominal ladders: what the rungs of a task move, take and burn, by hardware, from published measurements.

The models that really answer are small; these are the jobs that they stand for, whose bytes, milliseconds
and joules are charged. Each ladder says where its figures come from.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from ....common.arrays import Floats
from ....common.registry import Registry
from ....common.settings import Settings
from ....traces.devices import profile_of, read_energy

Positive = Annotated[float, Field(gt=0)]


class Hardware(Settings):
    """A kind of machine that answers.

    Attributes:
        ms: of one answer of each rung.
        concurrency: answers in work at once, over which a busy slot's capacity is counted.
        batches: numbers of answers in work at once for which `joules` are known, increasing.
        joules: of one answer, of each rung at each of `batches`.
    """

    ms: tuple[Positive, ...]
    concurrency: Annotated[int, Field(ge=1)] = 1
    batches: tuple[Positive, ...] = (1.0,)
    joules: tuple[tuple[Positive, ...], ...]

    @model_validator(mode="after")
    def _complete(self) -> Hardware:
        if len(self.joules) != len(self.ms) or any(len(row) != len(self.batches) for row in self.joules):
            raise ValueError(
                f"joules: {self.joules}, expected for each of {len(self.ms)} rungs as many as batches: "
                f"{len(self.batches)}"
            )
        if list(self.batches) != sorted(set(self.batches)):
            raise ValueError(f"batches: {self.batches}, expected increasing numbers")
        return self

    def joules_at(self, batch: Floats) -> Floats:
        """`[..., M]`, joules of one answer with so many in work at once.

        Between two known batches the logarithms are interpolated, E(b) = E(a) (b / a)^slope; beyond the first
        and the last the figures stay what they are.
        """
        known = np.log(self.batches)
        at = np.log(np.clip(batch, self.batches[0], self.batches[-1]))
        rows = [np.interp(at, known, np.log(row)) for row in self.joules]
        found: Floats = np.exp(np.stack(rows, axis=-1))
        return found


class Profile(Settings):
    """A ladder of models for every task: what each rung needs.

    Attributes:
        gigabytes: moved when a model of each rung is loaded.
        hardware: what machines of a kind take, by the name that `MachineGroup.hardware` uses; `hub` is the
            hub's, whose last rung answers.
    """

    gigabytes: Annotated[tuple[Positive, ...], Field(min_length=1)]
    hardware: dict[str, Hardware]

    @model_validator(mode="after")
    def _of_one_length(self) -> Profile:
        if "hub" not in self.hardware:
            raise ValueError(f"hardware: {list(self.hardware)}, expected hub among them")
        for name, each in self.hardware.items():
            if len(each.ms) != len(self.gigabytes):
                raise ValueError(
                    f"hardware: {name}: {len(each.ms)} rungs, expected {len(self.gigabytes)} as gigabytes"
                )
        return self

    @property
    def rungs(self) -> int:
        """M."""
        return len(self.gigabytes)


PROFILES: Registry[Profile] = Registry("profile", Profile)
"""Nominal ladders by name; `{kind: own, ...}` with the fields of `Profile` is one of one's own."""
PROFILES.register("own")(Profile)


@PROFILES.register("chat")
def chat() -> Profile:
    """Language models of 0.5, 1, 3, 8 and 14 billion parameters in 4 bits; an answer has 30 tokens.

    Gigabytes and tokens per second of an RTX 4090: a table of measurements with Ollama 0.6.2 (Local AI
    Master, April 2026): 0.8, 1.9 and 4.9 GB and 210, 160 and 95 tokens/s for Llama 3.2 1B, 3B and 8B; the
    smallest and the largest are extended from these (assumed), for desktops bytes over 40 GB/s of memory
    (assumed: every token reads all weights). Joules at home: 450 W and 65 W for that time, halved where four
    answers share the card. Hub: Qwen3-14B on an H100, ML.ENERGY leaderboard (February 2026): 12.5 ms and .706
    J per token at 8 at once, .112 J at 256.
    """
    gpu = (115.0, 143.0, 188.0, 316.0, 577.0)
    cpu = (300.0, 600.0, 1430.0, 3660.0, 6800.0)
    return Profile(
        gigabytes=(0.4, 0.8, 1.9, 4.9, 9.0),
        hardware={
            "gpu": Hardware(
                ms=gpu,
                concurrency=4,
                batches=(1, 4),
                joules=tuple((0.45 * ms, 0.225 * ms) for ms in gpu),
            ),
            "cpu": Hardware(ms=cpu, joules=tuple((0.065 * ms,) for ms in cpu)),
            "hub": Hardware(
                ms=(150.0, 180.0, 220.0, 300.0, 375.0),
                concurrency=256,
                batches=(8, 256),
                joules=tuple((21.2 * share, 3.36 * share) for share in (0.1, 0.15, 0.3, 0.65, 1.0)),
            ),
        },
    )


@PROFILES.register("vision")
def vision() -> Profile:
    """Image classifiers, as the profile of Proteus (Ahmad et al. 2024) has them, median ms at batch 1.

    mobilenet0.25, resnet18, resnet50, efficientnet-b3 and -b7 on an Ampere card and a CPU; megabytes of
    float32 weights as recalled, watts of 170 and 65 assumed. Loads take seconds: everybody ties.
    """
    gpu, cpu = (26.0, 27.8, 32.6, 38.1, 52.5), (2.6, 47.2, 96.9, 57.1, 239.6)
    return Profile(
        gigabytes=(0.002, 0.045, 0.098, 0.048, 0.267),
        hardware={
            "gpu": Hardware(ms=gpu, joules=tuple((0.17 * ms,) for ms in gpu)),
            "cpu": Hardware(ms=cpu, joules=tuple((0.065 * ms,) for ms in cpu)),
            "hub": Hardware(ms=gpu, concurrency=8, joules=tuple((0.17 * ms,) for ms in gpu)),
        },
    )


@PROFILES.register("language")
def language() -> Profile:
    """Llama-3.1-8B, gemma-3-12b, Qwen3-14B, Qwen3-32B and Llama-3.3-70B on H100s (ML.ENERGY leaderboard).

    February 2026, task lm-arena-chat: joules per request at 8 at once and at the best batch, milliseconds
    between tokens at 8 at once; an answer has 390 tokens (its ratio of joules per request and per token).
    Gigabytes: 2 bytes per parameter. Only GPU machines can run them.
    """
    server = Hardware(
        ms=(2850.0, 5110.0, 4880.0, 5890.0, 6590.0),
        concurrency=128,
        batches=(8, 256),
        joules=((177, 28), (511, 120), (437, 70), (1027, 145), (1573, 175)),
    )
    return Profile(gigabytes=(16, 24, 28, 64, 140), hardware={"gpu": server, "hub": server})


class Measured(Settings):
    """Which measurements of a file of the ML.ENERGY leaderboard are a ladder.

    Attributes:
        path: a task's JSON, as `frugalfl traces describe` reads it.
        models: one for each rung, smallest first, by the full name or the part behind the slash.
        gpu: only measurements on this one, such as H100; None: on whichever took the least energy.
        num_gpus: only on so many.
        concurrency: answers in work at once on a busy server.
        bytes_per_parameter: of the weights, where the file says how many parameters a model has.
        gigabytes: moved for each model instead.
    """

    path: str
    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)]
    gpu: str | None = None
    num_gpus: int | None = None
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 128
    bytes_per_parameter: Annotated[float, Field(gt=0, le=8)] = 2.0
    gigabytes: tuple[Positive, ...] = ()

    @model_validator(mode="after")
    def _for_each(self) -> Measured:
        if self.gigabytes and len(self.gigabytes) != len(self.models):
            raise ValueError(
                f"gigabytes: {len(self.gigabytes)} numbers, expected {len(self.models)} as models"
            )
        return self


@PROFILES.register("measured", Measured)
def measured(**settings: object) -> Profile:
    """Models of a file of the ML.ENERGY leaderboard; settings as of `Measured`.

    Joules by batch size are the file's, exactly at its points; milliseconds are those at the smallest batch
    that was measured. GPU machines and the hub are the servers that were measured.

    Raises:
        ValueError: one line: no such file or model, or nothing says how large a model is.
    """
    chosen = Measured.model_validate(settings)
    read = read_energy(chosen.path)
    rungs = [profile_of(read, model, chosen.gpu, chosen.num_gpus) for model in chosen.models]
    sizes = chosen.gigabytes or tuple(chosen.bytes_per_parameter * rung.billion_parameters for rung in rungs)
    for model, size in zip(chosen.models, sizes, strict=False):
        if not np.isfinite(size):
            raise ValueError(
                f"profile: {chosen.path} does not say how many parameters {model} has; give gigabytes"
            )
    batches = sorted({float(batch) for rung in rungs for batch in rung.batch})
    server = Hardware(
        ms=tuple(float(rung.latency(rung.batch[0])) for rung in rungs),
        concurrency=chosen.concurrency,
        batches=tuple(batches),
        joules=tuple(tuple(float(each) for each in rung.joules(np.array(batches))) for rung in rungs),
    )
    return Profile(gigabytes=sizes, hardware={"gpu": server, "hub": server})
