"""Compiled kernels: numba where it works, plain Python with a warning where it does not.

A kernel is a function over arrays, written in the part of Python that numba compiles. `@kernel` marks those
that Python calls, `@inner` those that only other kernels call. If numba cannot be imported, or its present
release cannot compile a kernel, that kernel runs as Python: slow, but right. FRUGALFL_COMPILED=0 asks for it.
"""

from __future__ import annotations

import functools
import os
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

VARIABLE = "FRUGALFL_COMPILED"
_OFF = ("0", "no", "off", "false")

_njit: Callable[..., Any]
try:
    import numba
    from numba.core.errors import NumbaError

    _njit = numba.njit

    _TROUBLE: tuple[type[BaseException], ...] = (NumbaError, NotImplementedError, AssertionError, KeyError)
    _WHY_NOT = ""
except Exception as error:  # whatever a broken installation raises
    numba = None  # type: ignore[assignment]
    _TROUBLE = ()
    _WHY_NOT = f"numba cannot be imported ({type(error).__name__}: {error})"


class SlowKernel(UserWarning):
    """A kernel runs as plain Python, many times slower."""


def uses_numba() -> bool:
    """Whether kernels are compiled in this process."""
    return numba is not None and os.environ.get(VARIABLE, "1").lower() not in _OFF


@overload
def inner(function: F, /) -> F: ...
@overload
def inner(**options: object) -> Callable[[F], F]: ...
def inner(function: F | None = None, /, **options: object) -> F | Callable[[F], F]:
    """A kernel that only other kernels call; options as for `numba.njit`."""

    def mark(late: F) -> F:
        return cast(F, _njit(**options)(late)) if uses_numba() else late

    return mark if function is None else mark(function)


@overload
def kernel(function: F, /) -> F: ...
@overload
def kernel(**options: object) -> Callable[[F], F]: ...
def kernel(function: F | None = None, /, **options: object) -> F | Callable[[F], F]:
    """A kernel that Python calls; options as for `numba.njit`, compiled code is kept on disk."""

    def mark(late: F) -> F:
        if uses_numba():
            return cast(F, Kernel(late, **options))
        if _WHY_NOT:
            _warn(late, _WHY_NOT)
        return _quiet(late)

    return mark if function is None else mark(function)


class Kernel:
    """A compiled function that goes on as Python if its first call shows that it cannot be compiled.

    Args:
        function: the kernel.
        **options: as for `numba.njit`.
    """

    def __init__(self, function: Callable[..., Any], **options: object) -> None:
        self.python = _quiet(as_python(function))
        self.compiled: Callable[..., Any] = _njit(**{"cache": True, **options})(function)
        self._call: Callable[..., Any] = self._first_call
        functools.update_wrapper(cast(Any, self), function)

    def __call__(self, *args: Any) -> Any:
        """Call the compiled function, or Python's."""
        return self._call(*args)

    def _first_call(self, *args: Any) -> Any:
        """See whether it can be compiled at all; what serves now serves from then on."""
        _tell_of_compiling(self.compiled)
        try:
            result = self.compiled(*args)
        except _TROUBLE as error:
            _warn(self.python, f"numba {numba.__version__}: {str(error).strip().splitlines()[0]}")
            self._call = self.python
            return self.python(*args)
        self._call = self.compiled
        return result


def as_python(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel's function, and all inner kernels that it calls, as plain Python."""
    known: dict[int, Callable[..., Any]] = {}

    def plain(found: Callable[..., Any]) -> Callable[..., Any]:
        found = getattr(found, "py_func", found)
        if id(found) not in known:
            scope = dict(found.__globals__)
            copy = types.FunctionType(found.__code__, scope, found.__name__, found.__defaults__)
            known[id(found)] = copy
            for name in found.__code__.co_names:
                value: Any = scope.get(name)
                if hasattr(value, "py_func"):
                    scope[name] = plain(value)
        return known[id(found)]

    return functools.update_wrapper(plain(function), function)


def _quiet(function: F) -> F:
    """Numbers overflow and divide as in compiled code: without a word."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return cast(F, call)


_told = False


def _tell_of_compiling(compiled: Any) -> None:
    """A line for whoever sits before a terminal, if this kernel was never compiled before; once a process."""
    global _told
    if _told or not sys.stderr.isatty() or compiled.stats.cache_path is None:
        return
    code = compiled.py_func.__code__
    kept = Path(compiled.stats.cache_path).glob(f"*.{code.co_name}-{code.co_firstlineno}*.nbi")
    if not any(kept):
        _told = True
        sys.stderr.write("frugalfl: compiling, once per installation; `frugalfl warmup` does it beforehand\n")


def _warn(function: Callable[..., Any], why: str) -> None:
    name = getattr(function, "__name__", "a kernel")
    warnings.warn(f"{name} runs as plain Python, many times slower: {why}", SlowKernel, stacklevel=4)
