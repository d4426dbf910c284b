"""A node's stream in a file of its own machine, which outlives its process."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ....common.files import read_npz, sha256, write_npz
from ....fl_core.remote import StreamMemory
from ..settings import DeploySettings

_LOG = logging.getLogger(__name__)


class StreamFile:
    """Where a node keeps what it remembers of one run, if it is told a folder.

    Args:
        folder: of the node's machine.
        settings: of the run; a run that is resumed is the same one.
        client: which client the node plays.
    """

    def __init__(self, folder: Path, settings: DeploySettings, client: int) -> None:
        said = json.loads(settings.text())
        run = json.dumps([said[name] for name in ("scenario", "seed", "split", "out")], sort_keys=True)
        self._path = folder / f"stream-{sha256(run.encode())[:16]}-{client}.npz"

    def load(self) -> StreamMemory | None:
        """What was kept; None if nothing was, or nothing that can be read."""
        if not self._path.is_file():
            return None
        try:
            return StreamMemory.of(read_npz(self._path, "keep"))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            _LOG.warning("keep: %s: %s; the node begins with nothing", self._path, error)
            return None

    def save(self, memory: StreamMemory) -> None:
        """Keep this, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(self._path, memory.arrays(), compress=False)
