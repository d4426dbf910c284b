"""Profile of a node: what it says of itself, in its configuration and with every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, SupportsFloat, TypeAlias, cast

from pydantic import AfterValidator, Field

from ....common.settings import Settings, parse_settings
from ....common.spelling import printable


def _printed(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{printable(text)!r}, expected letters that can be printed, in one line")
    return text


Printable: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(_printed)]


class NodeProfile(Settings):
    """One node in its own words; None where it says nothing.

    Attributes:
        name: who it is, for good: a node that returns under this name is the same node, whatever its id. All
            of it can be printed, since it stands in logs, tables and terminals.
        client: the client of the partition it plays; None = the first free one.
        zone: name of its grid zone.
        watts: power drawn while computing.
        down_bytes_per_s: bandwidth towards it.
        up_bytes_per_s: bandwidth from it.
        step_s: seconds of one local step, before it has been measured. A node that is told its
            `seconds-per-step` really takes that long, so that a fast machine can stand for a slow one.
        answer_s: seconds of one answer, before it has been measured; a node that is told its
            `seconds-per-answer` really takes that long.
        session_left_s: seconds until it will leave, if it knows.
        samples: training samples it holds.
        own_samples: rows that it brings itself and that are of no partition.
    """

    name: Printable = ""
    client: int | None = Field(default=None, ge=0)
    zone: Printable | None = None
    watts: float | None = Field(default=None, ge=0)
    down_bytes_per_s: float | None = Field(default=None, gt=0)
    up_bytes_per_s: float | None = Field(default=None, gt=0)
    step_s: float | None = Field(default=None, gt=0)
    answer_s: float | None = Field(default=None, gt=0)
    session_left_s: float | None = Field(default=None, ge=0)
    samples: int | None = Field(default=None, ge=0)
    own_samples: int | None = Field(default=None, ge=1)

    def record(self) -> dict[str, str | int | float]:
        """The fields that say something, for a message."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


def read_profile(record: Mapping[str, object]) -> NodeProfile:
    """A profile from a message; ValueError naming the field, its value and what was expected."""
    return parse_settings(NodeProfile, record, "node profile")


def profile_of(
    node_config: Mapping[str, object],
    now_utc_s: float,
    samples: int | None = None,
    own_samples: int | None = None,
) -> NodeProfile:
    """The profile that a node's configuration describes.

    Args:
        node_config: `name`, `partition-id`, `zone`, `watts`, `down-bytes-per-s`, `up-bytes-per-s`,
            `seconds-per-step`, `seconds-per-answer` and `session-end-utc-s` (Unix time), each optional.
        now_utc_s: Unix time now.
        samples: training samples it holds.
        own_samples: rows that it brings itself.

    Raises:
        ValueError: one line naming the field, its value and what was expected.
    """
    end_s = node_config.get("session-end-utc-s")
    names = {
        "name": "name",
        "client": "partition-id",
        "zone": "zone",
        "watts": "watts",
        "down_bytes_per_s": "down-bytes-per-s",
        "up_bytes_per_s": "up-bytes-per-s",
        "step_s": "seconds-per-step",
        "answer_s": "seconds-per-answer",
    }
    said: dict[str, object] = {field: node_config.get(key) for field, key in names.items()}
    said["name"] = str(said["name"] or "")
    said["session_left_s"] = (
        None if end_s is None else max(float(cast(SupportsFloat, end_s)) - now_utc_s, 0.0)
    )
    said["samples"], said["own_samples"] = samples, own_samples
    return parse_settings(NodeProfile, said, "node-config")
