"""Where pieces of work are carried out: processes of this machine, or Ray's machines.

A piece is a plain function of picklable arguments, so its result does not depend on where it ran. A piece
that crashes is tried once more; one that crashes again is reported and costs the others nothing.
"""

from __future__ import annotations

import importlib.util

from ...common.registry import Registry
from .base import Engine

ENGINES: Registry[Engine] = Registry("engine")
"""Engines by name; each is made from `jobs=` and `address=`."""


def make_engine(name: str = "local", jobs: int = 2, address: str | None = None) -> Engine:
    """An engine by name.

    Args:
        name: "local" (processes on this machine), "ray", or one of your own.
        jobs: processes of the local engine; Ray has as many workers as its nodes have cores.
        address: of a running Ray cluster; None: Ray's own default, or a new one on this machine.

    Raises:
        ValueError: unknown engine, bad number, or Ray is not installed.
    """
    if jobs < 1:
        raise ValueError(f"jobs: {jobs}, expected at least 1")
    return ENGINES.make(name, jobs=jobs, address=address)


@ENGINES.register("local")
def _local(jobs: int, address: str | None) -> Engine:
    if address is not None:
        raise ValueError(f"address: {address!r} without --engine ray; the local engine has no address")
    from .local import LocalEngine

    return LocalEngine(jobs)


@ENGINES.register("ray")
def _ray(jobs: int, address: str | None) -> Engine:
    if importlib.util.find_spec("ray") is None:
        raise ValueError("engine: 'ray', but Ray is not installed: pip install 'frugalfl[ray]'")
    from .ray_cluster import RayEngine

    return RayEngine(address)
