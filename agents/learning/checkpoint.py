"""Checkpoints that a killed run can go on from: written whole or not at all, read without pickle.

A checkpoint is a folder `step-<rounds>` with `state.json` (settings, counters, checksums), `state.pt`
(weights and optimisers, readable with `torch.load(weights_only=True)`), `best.pt` (the best policy so far)
and, for algorithms with a replay buffer, `buffer.npz`.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from typing_extensions import TypedDict

from ...common.arrays import AnyArray
from ...common.files import (
    read_json,
    read_npz,
    remove_folder,
    write_bytes,
    write_folder,
    write_json,
    write_npz,
)
from ...common.settings import parse_document

StateDict = dict[str, th.Tensor]
"""Weights by name."""

FORMAT = "frugalfl-checkpoint-1"
KEEP = 2
"""How many of the latest checkpoints stay on disk."""

_COUNTERS = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num")
_BUFFER_ARRAYS = ("actions", "rewards", "dones", "timeouts")


class Best(TypedDict):
    """The best policy on the validation episodes so far."""

    net_points: float | None
    segment: int | None
    decision: str


class RunState(TypedDict):
    """How far a run has come."""

    settings: dict[str, object]
    segment: int
    history: list[dict[str, float | None]]
    best: Best
    notes: dict[str, object]


class CheckpointDocument(RunState):
    """`state.json`: the run's state, the model's counters and checksums of the other files."""

    format: str
    counters: dict[str, int]
    files: dict[str, str]


class _ModelState(TypedDict):
    """`state.pt`."""

    state_dicts: dict[str, dict[str, StateDict]]
    variables: StateDict


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from disk and checked, not yet put into a model.

    Attributes:
        folder: where it lies.
        document: `state.json`.
    """

    folder: Path
    document: CheckpointDocument

    @property
    def num_timesteps(self) -> int:
        """Rounds trained so far."""
        return int(self.document["counters"]["num_timesteps"])

    def restore(self, model: BaseAlgorithm) -> None:
        """Put weights, optimisers, counters and the replay buffer into a model built with the same settings.

        Raises:
            ValueError: the checkpoint does not fit the model.
        """
        state = cast(_ModelState, _load(self.folder / "state.pt", model.device))
        try:
            # Stable-Baselines3 takes tensors or dictionaries of them, and says only the former.
            model.set_parameters(state["state_dicts"], exact_match=True, device=model.device)  # type: ignore[arg-type]
            for name, tensor in state["variables"].items():
                getattr(model, name).data.copy_(tensor)
        except (KeyError, RuntimeError, AttributeError, ValueError, TypeError) as error:
            raise ValueError(f"checkpoint: {self.folder}: does not fit this run ({_first(error)})") from None
        for name, value in self.document["counters"].items():
            setattr(model, name, int(value))
        if isinstance(model, OffPolicyAlgorithm):
            _restore_buffer(self.folder / "buffer.npz", model)

    def best_policy(self, device: th.device | str = "cpu") -> StateDict | None:
        """State dict of the best policy on the validation episodes so far, or None."""
        path = self.folder / "best.pt"
        return load_tensors(path, device) if path.exists() else None


def save_checkpoint(
    root: Path, model: BaseAlgorithm, document: RunState, best: StateDict | None
) -> Checkpoint:
    """Write a checkpoint below `root`, then remove the oldest ones.

    Args:
        root: folder of the checkpoints.
        model: what to save.
        document: how far the run has come.
        best: state dict of the best policy so far, or None.
    """
    folder = root / f"step-{model.num_timesteps:012d}"
    written: list[CheckpointDocument] = []
    write_folder(folder, lambda draft: written.append(_fill(draft, model, document, best)))
    remove_old(root)
    return Checkpoint(folder, written[0])


def remove_old(root: Path) -> None:
    """Keep the latest checkpoints below `root`; the others are removed."""
    for old in _folders(root)[:-KEEP]:
        remove_folder(old)


def _fill(
    draft: Path, model: BaseAlgorithm, document: RunState, best: StateDict | None
) -> CheckpointDocument:
    """Write the files of a checkpoint; returns its `state.json`."""
    variables = {name: getattr(model, name).detach() for name in model._get_torch_save_params()[1]}
    save_tensors(draft / "state.pt", {"state_dicts": model.get_parameters(), "variables": variables})
    if best is not None:
        save_tensors(draft / "best.pt", best)
    if isinstance(model, OffPolicyAlgorithm):
        _save_buffer(draft / "buffer.npz", model)
    counters = {name: int(getattr(model, name)) for name in _COUNTERS if hasattr(model, name)}
    sums = {path.name: _sha256(path) for path in sorted(draft.iterdir())}
    full: CheckpointDocument = {"format": FORMAT, **document, "counters": counters, "files": sums}
    write_json(draft / "state.json", full)
    return full


def latest_checkpoint(root: Path) -> Checkpoint:
    """The newest whole checkpoint below `root`, checked against its checksums; damaged ones are passed over.

    Raises:
        ValueError: there is none, or all are damaged or of another program.
    """
    complaints = []
    for folder in reversed(_folders(root)):
        try:
            checkpoint = _read(folder)
        except ValueError as error:
            complaints.append(str(error))
            continue
        for complaint in complaints:
            line = f"{complaint}; going on from {folder.name}, the one before it"
            warnings.warn(line, RuntimeWarning, stacklevel=2)
        return checkpoint
    nothing = f"checkpoint: {root}: no checkpoint there, expected a folder step-*"
    raise ValueError(complaints[0] if complaints else nothing)


def _read(folder: Path) -> Checkpoint:
    """A checkpoint as it was written; ValueError if it is damaged or of another program."""
    state = folder / "state.json"
    found = read_json(state, "checkpoint")
    if found.get("format") != FORMAT:
        raise ValueError(f"checkpoint: {state}: format {found.get('format')!r}, expected {FORMAT!r}")
    document = parse_document(CheckpointDocument, found, f"checkpoint: {state}")
    for name, wanted in document["files"].items():
        path = folder / Path(name).name
        if not path.is_file() or _sha256(path) != wanted:
            raise ValueError(f"checkpoint: {path}: missing or damaged")
    return Checkpoint(folder, document)


def has_checkpoint(root: Path) -> bool:
    """Whether there is a checkpoint below `root`, good or bad."""
    return bool(_folders(root))


def save_tensors(path: Path, state: object) -> None:
    """Write tensors, to be read with `load_tensors`."""
    content = io.BytesIO()  # in memory first: torch's own writer does not say why a file could not be written
    th.save(state, content)
    write_bytes(path, content.getbuffer())


def load_tensors(path: Path, device: th.device | str) -> StateDict:
    """Tensors of a file written by `torch.save`; runs no code from it.

    Raises:
        ValueError: not such a file.
    """
    return cast(StateDict, _load(path, device))


def _load(path: Path, device: th.device | str) -> object:
    """What a file written by `torch.save` holds."""
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("no archive" if path.is_file() else "no such file")
        return th.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file: whatever zipfile, torch and its unpickler raise
        raise ValueError(f"{path}: not a file of tensors ({_first(error)})") from None


def _folders(root: Path) -> list[Path]:
    return sorted(root.glob("step-*")) if root.is_dir() else []


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _save_buffer(path: Path, model: OffPolicyAlgorithm) -> None:
    buffer = model.replay_buffer
    assert isinstance(buffer, DictReplayBuffer)
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays: dict[str, AnyArray] = {"pos": np.array(buffer.pos), "full": np.array(buffer.full)}
    arrays |= {name: getattr(buffer, name)[:filled] for name in _BUFFER_ARRAYS}
    arrays |= {f"now_{key}": rows[:filled] for key, rows in buffer.observations.items()}
    arrays |= {f"next_{key}": rows[:filled] for key, rows in buffer.next_observations.items()}
    write_npz(path, arrays, compress=False)


def _restore_buffer(path: Path, model: OffPolicyAlgorithm) -> None:
    buffer = model.replay_buffer
    assert isinstance(buffer, DictReplayBuffer)
    arrays = read_npz(path, "checkpoint")
    targets = {name: getattr(buffer, name) for name in _BUFFER_ARRAYS}
    targets |= {f"now_{key}": rows for key, rows in buffer.observations.items()}
    targets |= {f"next_{key}": rows for key, rows in buffer.next_observations.items()}
    try:
        for name, rows in targets.items():
            rows[: len(arrays[name])] = arrays[name]
        buffer.pos, buffer.full = int(arrays["pos"]), bool(arrays["full"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"checkpoint: {path}: not this run's replay buffer ({_first(error)})") from None
