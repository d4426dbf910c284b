"""Array types by element. In docstrings `[E, N]` means environments x clients, `[E, Z]` x grid zones."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Ints32: TypeAlias = NDArray[np.int32]
Ints8: TypeAlias = NDArray[np.int8]
Bools: TypeAlias = NDArray[np.bool_]
Seeds: TypeAlias = NDArray[np.uint64]
AnyArray: TypeAlias = NDArray[Any]
"""Where any element type is meant: what a caller hands in, before it is checked."""
