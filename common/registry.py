"""Registries: objects made by name, or from a mapping with the key `kind` and further settings."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast, get_type_hints

from pydantic import BaseModel, BeforeValidator, create_model

from .settings import Settings, parse_settings, split_spec
from .spelling import suggest

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class NoOptions(Settings):
    """Settings of a kind that has none."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A kind and its validated settings, not made yet.

    Attributes:
        name: of the kind.
        factory: makes the object.
        options: its validated settings.
    """

    name: str
    factory: Callable[..., T]
    options: BaseModel

    def make(self, **context: Any) -> T:
        """Make the object from its settings and whatever else its factory takes."""
        if isinstance(self.factory, type) and isinstance(self.options, self.factory):
            return cast(T, self.options)
        values = {name: getattr(self.options, name) for name in type(self.options).model_fields}
        return self.factory(**values, **context)


def options_from_signature(function: Callable[..., Any], without: Collection[str] = ()) -> type[BaseModel]:
    """A model of the settings that a function takes: its arguments, their types and defaults.

    Args:
        function: anybody's.
        without: arguments that are no settings.
    """
    hints = get_type_hints(function)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if given.default is given.empty else given.default)
        for name, given in inspect.signature(function).parameters.items()
        if name not in without and given.kind not in (given.VAR_POSITIONAL, given.VAR_KEYWORD)
    }
    return create_model(f"Options of {function.__name__}", __base__=Settings, **fields)


class Registry(Generic[T]):
    """Objects of one sort by name: "name", {"kind": "name", **settings}, or an object that is one already.

    A kind of one's own is registered from anywhere, or named by its dotted name `package.module:attribute`,
    which works in every process. Its settings are the fields of its `Options`, a `Settings` model standing in
    the class or handed to `register`; they arrive as keyword arguments. A class that is a `Settings` model
    itself needs none.

    Args:
        what: the sort, as messages name it: "aggregator".
        base: what an object that is passed through must be an instance of; None = nothing is passed through.
        adopt: makes a kind of what a dotted name stands for, where more than kinds are welcome.
    """

    def __init__(
        self, what: str, base: type[Any] | None = None, adopt: Callable[[Any], Any] | None = None
    ) -> None:
        self.what = what
        self._base = base
        self._adopt = adopt
        self._kinds: dict[str, tuple[Callable[..., T], type[BaseModel]]] = {}

    def register(self, name: str, options: type[BaseModel] | None = None) -> Callable[[F], F]:
        """A decorator that makes a class or function known by name.

        Args:
            name: what settings will call it.
            options: model of its settings; None: the class's own `Options`, or no settings at all.

        Raises:
            ValueError: a bad name, or one that something else already bears.
        """
        if not name or ":" in name:
            raise ValueError(f"{self.what}: {name!r}, expected a name without a colon")

        def note(factory: F) -> F:
            known = self._kinds.get(name)
            if known is not None and known[0] is not factory:
                raise ValueError(f"{self.what}: {name!r} is registered already, expected another name")
            self._kinds[name] = (factory, options or _options_of(factory))
            return factory

        return note

    def remove(self, name: str) -> None:
        """Forget a name; nothing happens if it is not known."""
        self._kinds.pop(name, None)

    def choose(self, spec: str | Mapping[str, Any]) -> Choice[T]:
        """The kind that a specification names, with its settings validated.

        Raises:
            ValueError: one line: an unknown name (with a suggestion) or bad settings.
        """
        name, rest = split_spec(spec, self.what)
        factory, options = self._find(name)
        return Choice(name, factory, parse_settings(options, rest, f"{self.what} {name!r}"))

    def check(self, spec: str | Mapping[str, Any] | T) -> None:
        """Refuse what `make` would refuse before it makes anything; ValueError, one line."""
        if self._base is None or not isinstance(spec, self._base):
            self.choose(cast("str | Mapping[str, Any]", spec))

    def make(self, spec: str | Mapping[str, Any] | T, **context: Any) -> T:
        """Make an object, or pass through what is one already.

        Args:
            spec: name, mapping with `kind`, or an object.
            **context: arguments that are not settings.

        Raises:
            ValueError: one line: an unknown name (with a suggestion) or bad settings.
        """
        if self._base is not None and isinstance(spec, self._base):
            return cast(T, spec)
        made = self.choose(cast("str | Mapping[str, Any]", spec)).make(**context)
        if self._base is not None and not isinstance(made, self._base):
            raise ValueError(
                f"{self.what}: {spec!r} made a {type(made).__name__}, expected a {self._base.__name__}"
            )
        return made

    def options(self, name: str) -> type[BaseModel]:
        """The model of the settings of a kind; ValueError for an unknown name."""
        return self._find(name)[1]

    def field(self) -> Any:
        """Type of a settings field that holds a specification; it is validated when the document is read."""

        def validated(spec: Any) -> Any:
            if isinstance(spec, str | Mapping):
                self.choose(spec)
                return spec if isinstance(spec, str) else dict(spec)
            raise ValueError(f"{spec!r}, expected a name or a mapping with the key 'kind'")

        return Annotated[str | dict[str, Any], BeforeValidator(validated)]

    def made_field(self) -> Any:
        """Type of a settings field that holds an object, made when the document is read."""

        def made(spec: Any) -> T:
            if isinstance(spec, str | Mapping) or (self._base is not None and isinstance(spec, self._base)):
                return self.make(spec)
            raise ValueError(f"{spec!r}, expected a name or a mapping with the key 'kind'")

        return Annotated[Any, BeforeValidator(made)]

    def names(self) -> tuple[str, ...]:
        """Every registered name, in the order of registration."""
        return tuple(self._kinds)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._kinds))

    def __getitem__(self, name: str) -> Callable[..., T]:
        return self._find(name)[0]

    def _find(self, name: str) -> tuple[Callable[..., T], type[BaseModel]]:
        if name in self._kinds:
            return self._kinds[name]
        if ":" in name:
            factory = load_dotted(name, self.what)
            if self._adopt is not None:
                factory = self._adopt(factory)
            return factory, _options_of(factory)
        raise ValueError(f"{self.what}: {name!r} is unknown; {suggest(name, self._kinds)}")


def _options_of(factory: Any) -> type[BaseModel]:
    """The model of a kind's settings."""
    if isinstance(factory, type) and issubclass(factory, Settings):
        return factory
    options: type[BaseModel] = getattr(factory, "Options", NoOptions)
    return options


NO_CODE = "FRUGALFL_NO_CODE"
"""Variable of the environment, which processes hand on, that has dotted names refused."""


def refuses_code() -> bool:
    """Whether dotted names are refused in this process."""
    return os.environ.get(NO_CODE, "").lower() not in ("", "0", "no", "off", "false")


def is_dotted(text: str) -> bool:
    """Whether a text has the form `package.module:attribute`, and so names code and not a file."""
    return re.fullmatch(r"[^\W\d][\w.]+:[^\W\d]\w*", text) is not None


def load_dotted(name: str, what: str, own: bool = False) -> Any:
    """What a dotted name `package.module:attribute` stands for.

    It is code: whatever the module does when it is imported is done. Where files are read that others have
    made, `FRUGALFL_NO_CODE=1` (of the commands `--no-code`) refuses all such names.

    Args:
        name: the dotted name.
        what: what it is to be, as messages name it.
        own: whether the package itself wrote the name, which is never refused.

    Raises:
        ValueError: one line: no such module, or nothing of that name in it, or such names are refused.
    """
    module_name, _, attribute = name.partition(":")
    if re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", name) is None:
        raise ValueError(f"{what}: {name!r}, expected a known name or package.module:attribute")
    if refuses_code() and not own:
        raise ValueError(
            f"{what}: {name!r} names code, which --no-code refuses; leave the option out if you trust it"
        )
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{what}: {name!r}: cannot import {module_name!r} ({error})") from None
    if not hasattr(module, attribute):
        raise ValueError(f"{what}: {name!r}: {module_name} has no {attribute!r}")
    return getattr(module, attribute)
