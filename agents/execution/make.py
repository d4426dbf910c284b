"""Where pieces of work are carried out: processes of this machine, or Ray's machines.

A piece is a plain function of picklable arguments, so its result does not depend on where it ran. A piece
that crashes is tried once more; one that crashes again is reported and costs the others nothing.
"""

from __future__ import annotations

import importlib.util

from .base import ENGINES, Engine


def make_engine(name: str = "local", jobs: int = 2, address: str | None = None) -> Engine:
    """An engine by name.

    Args:
        name: "local" (processes on this machine) or "ray".
        jobs: processes of the local engine; Ray has as many workers as its nodes have cores.
        address: of a running Ray cluster; None: Ray's own default, or a new one on this machine.

    Raises:
        ValueError: unknown engine, bad number, or Ray is not installed.
    """
    if name not in ENGINES:
        raise ValueError(f"engine: {name!r}, expected one of {', '.join(ENGINES)}")
    if jobs < 1:
        raise ValueError(f"jobs: {jobs}, expected at least 1")
    if name == "local":
        if address is not None:
            raise ValueError(f"address: {address!r} without --engine ray; the local engine has no address")
        from .local import LocalEngine

        return LocalEngine(jobs)
    if importlib.util.find_spec("ray") is None:
        raise ValueError("engine: 'ray', but Ray is not installed: pip install 'frugalfl[ray]'")
    from .ray_cluster import RayEngine

    return RayEngine(address)
