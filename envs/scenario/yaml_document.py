"""YAML files as people mean them: what could be read in two ways is refused, files are found beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from ...common.reading import read_small, reason

MOST_BYTES = 1 << 18
MOST_NESTED = 50
MOST_NODES = 100_000
"""Bounds of a document, far above any scenario: size, levels, and entries with every alias written out."""

_FILE_KEYS = ("path", "root")
"""Settings that are always files or folders; elsewhere a text is one if it has an ending or a separator."""
_NOT_FILES = ("name", "base", "kind")


def read_yaml(path: Path) -> dict[str, object]:
    """The mapping in a YAML file, with the files that it names beside itself as absolute paths.

    Plain words and numbers are read as in YAML 1.2: `NO` is Norway and no truth value, a date is a text. What
    older readers take for another number (`012`, `1:30`) and a key that stands twice are refused.

    Raises:
        ValueError: one line with the line of the file and what to do.
    """
    try:
        loader = _Loader(read_small(path, MOST_BYTES))
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except OSError as error:
        raise ValueError(
            f"scenario: {path}: {error.strerror or error}; expected a readable YAML file"
        ) from None
    except yaml.YAMLError as error:
        raise ValueError(f"scenario: {path}{_complaint(error)}") from None
    except ValueError as error:
        raise ValueError(f"scenario: {path}: {reason(error)}; expected a YAML file of a scenario") from None
    if not isinstance(document, dict):
        raise ValueError(f"scenario: {path}: expected a mapping of fields, got {type(document).__name__}")
    folder = path.resolve().parent
    return {str(name): _beside(folder, str(name), value) for name, value in document.items()}


class _Loader(yaml.SafeLoader):
    """Plain scalars of YAML 1.2, no key twice, a bounded document."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, text: bytes):
        super().__init__(text)
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node, if it is not nested too deep."""
        self._level += 1
        if self._level > MOST_NESTED:
            mark = self.peek_event().start_mark
            raise _refusal(mark, f"nested more than {MOST_NESTED} deep, expected a flatter document")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        """The document, if it stays small with every alias written out."""
        root: yaml.Node | None = super().get_single_node()
        if root is not None:
            _count(root, {})
        return root

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """A mapping, if no key stands twice in it."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in lines:
                where = f"line {lines[key.value]}"
                raise _refusal(key.start_mark, f"{key.value}: stands in {where} already; keep one of them")
            lines[key.value] = key.start_mark.line + 1
        made: dict[object, object] = super().construct_mapping(node, deep)
        return made

    def refuse_octal(self, node: yaml.ScalarNode) -> object:
        """A number with leading zeros is eight times as much to some readers."""
        plain = int(node.value.replace("_", ""))
        digits = node.value.lstrip("+-").replace("_", "")
        octal = f", or {int(digits, 8)} if octal is meant" if not set(digits) & set("89") else ""
        raise _refusal(
            node.start_mark,
            f"{node.value}: expected a number without leading zeros; write {plain}{octal}, or "
            f"'{node.value}' in quotes for a text",
        )

    def refuse_sexagesimal(self, node: yaml.ScalarNode) -> object:
        """Digits with colons are a number to base 60 to some readers."""
        total = 0.0
        for part in node.value.lstrip("+-").replace("_", "").split(":"):
            total = 60 * total + float(part)
        raise _refusal(
            node.start_mark,
            f"{node.value}: expected a plain number; write {total:g} for the number to base 60, or "
            f"'{node.value}' in quotes for a text",
        )


_MERGE = "tag:yaml.org,2002:merge"
_WORDS = {
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:null": r"~|null|Null|NULL|",
    "tag:yaml.org,2002:int": r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)",
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
    _MERGE: r"<<",
    "tag:frugalfl,octal": r"[-+]?0[0-9_]+",
    "tag:frugalfl,sexagesimal": r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?",
}
"""Plain scalars that are no text, by their tag; the last two are only known in order to be refused."""

for _tag, _pattern in _WORDS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), None)
_Loader.add_constructor("tag:frugalfl,octal", _Loader.refuse_octal)
_Loader.add_constructor("tag:frugalfl,sexagesimal", _Loader.refuse_sexagesimal)


def _refusal(mark: yaml.Mark | None, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, mark)


def _complaint(error: Exception) -> str:
    """Where and why a text is no YAML of ours."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f": not a YAML document ({' '.join(str(error).split())})"
    where = f" line {error.problem_mark.line + 1}: "
    # Ours begin with what stands there; the parser's own are about its grammar.
    ours = type(error) is yaml.MarkedYAMLError
    return where + (str(error.problem) if ours else f"not a YAML document ({error.problem})")


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Entries below a node with every alias written out; what is found again inside itself has no end."""
    if id(node) in known:
        size = known[id(node)]
    else:
        known[id(node)] = MOST_NODES + 1  # until it is known
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        parts = (
            node.value if isinstance(node, yaml.SequenceNode) else [each for pair in pairs for each in pair]
        )
        size = known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    if size > MOST_NODES:
        raise _refusal(
            node.start_mark,
            f"unfolds to more than {MOST_NODES:,} entries; write out what its aliases stand for",
        )
    return size


def _beside(folder: Path, key: str, value: object) -> object:
    """The value with every text that names a file beside the document as its absolute path."""
    if isinstance(value, Mapping):
        return {name: _beside(folder, str(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_beside(folder, key, item) for item in value]
    if not isinstance(value, str) or not value or key in _NOT_FILES:
        return value
    looks_like_one = key in _FILE_KEYS or Path(value).suffix or len(Path(value).parts) > 1
    return str(folder / value) if looks_like_one and _exists(folder / value) else value


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text that no file can be called
        return False
