"""Pickles from which only plain containers and numbers can come; nothing in them runs."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np

from ....common.parsing import brief, read_bytes

# The only numpy types that device files use.
_TYPES = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class _Type:
    """Stands in for `numpy.dtype`: remembers a name, refuses all but plain numbers."""

    def __init__(self, name: object = None, align: object = False, copy: object = True):
        if not isinstance(name, str) or name not in _TYPES:
            raise pickle.UnpicklingError(f"numpy type {brief(name)} is not a plain number")
        self.name, self.order = name, "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = str(state[1])


def _scalar(kind: object = None, raw: object = b"") -> float | int | bool:
    """Stands in for numpy's scalar constructor: a Python number from its bytes."""
    if not isinstance(kind, _Type) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("a numpy scalar without a plain type")
    dtype = np.dtype(kind.order + kind.name)
    if len(raw) != dtype.itemsize:
        raise pickle.UnpicklingError(f"a numpy scalar of {len(raw)} bytes, expected {dtype.itemsize}")
    number: float | int | bool = np.frombuffer(raw, dtype)[0].item()
    return number


_ALLOWED = {
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


# What plain data never needs: outside objects, instances, buffers, sets (whose hashing can be made endless).
_FORBIDDEN = (
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.INST,
    pickle.OBJ,
    pickle.NEWOBJ,
    pickle.NEWOBJ_EX,
    pickle.BYTEARRAY8,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
    pickle.EMPTY_SET,
    pickle.ADDITEMS,
    pickle.FROZENSET,
)


class _Plain(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """The unpickler in Python: its memo is a dictionary, so no index in a file can ask for all memory."""

    stack: list[object]
    dispatch: ClassVar[dict[int, object]] = dict(  # type: ignore[assignment]
        pickle._Unpickler.dispatch  # type: ignore[attr-defined]
    )
    for _code in _FORBIDDEN:
        dispatch.pop(_code[0], None)

    def find_class(self, module: str, name: str) -> object:
        """Only our own stand-ins; everything else is refused before it is imported."""
        try:
            return _ALLOWED[(module, name)]
        except (KeyError, TypeError):
            raise pickle.UnpicklingError(f"it refers to {brief(f'{module}.{name}')}") from None

    def load_build(self) -> None:
        """State for a number type only."""
        kind = self.stack[-2]
        if not isinstance(kind, _Type):
            raise pickle.UnpicklingError("it sets the state of an object")
        kind.__setstate__(self.stack.pop())

    def load_setitem(self) -> None:
        """Names and numbers as keys only: the hash of nested tuples can be made endless."""
        self._check_keys(self.stack[-2:-1])
        pickle._Unpickler.load_setitem(self)  # type: ignore[attr-defined]

    def load_setitems(self) -> None:
        """As `load_setitem`, for many."""
        self._check_keys(self.stack[::2])
        pickle._Unpickler.load_setitems(self)  # type: ignore[attr-defined]

    @staticmethod
    def _check_keys(keys: list[object]) -> None:
        if not all(isinstance(key, (str, int, float)) for key in keys):
            raise pickle.UnpicklingError("a key is neither a name nor a number")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems


def is_pickle(data: bytes) -> bool:
    """Whether the bytes begin like a pickle of protocol 2 or later."""
    return len(data) > 2 and data[0] == 0x80 and 2 <= data[1] <= 5


def load_plain(path: str | Path) -> object:
    """The object in a pickle of plain containers, strings, numbers and numpy scalars.

    Raises:
        ValueError: if it holds anything else; nothing in it is imported or run.
    """
    data = read_bytes(path)
    if not is_pickle(data):
        raise ValueError(f"{path}: not a pickle of protocol 2 to 5")
    try:
        loaded: object = _Plain(io.BytesIO(data)).load()
        return loaded
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: refused pickle ({reason}), expected plain containers and numbers"
        ) from None
    # A damaged pickle can fail in any of these ways inside the unpickler.
    except (
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ImportError,
        OverflowError,
        MemoryError,
        RecursionError,
        struct.error,
    ) as error:
        raise ValueError(f"{path}: damaged pickle ({type(error).__name__})") from None
