"""Several vectors of `simd` at once: as many sums as the registers of this processor hold.

A product of small matrices waits for the additions before it unless enough sums are under way. Eight vectors
keep the two units of a processor with AVX-512 busy; with sixteen registers of half the width eight would not
fit, and four do. `ROWS` says which it is. No sum depends on it: every row has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import llvmlite.binding  # type: ignore[import-untyped,unused-ignore]
from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba import types
from numba.extending import models, register_model

from .simd import LANES, fused, intrinsic, pointer, positive, spread, vec

if TYPE_CHECKING:
    from numba.core.datamodel.manager import DataModelManager

ROWS = 8 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 4
"""Vectors of a block."""

_INDEX = ir.IntType(64)
_VEC = ir.VectorType(ir.FloatType(), LANES)


class BlockType(types.Type):
    """Numba's type of `ROWS` vectors."""

    def __init__(self) -> None:
        super().__init__(name=f"Float32x{LANES}x{ROWS}")


class PlacesType(types.Type):
    """Numba's type of `ROWS` places in a flat array."""

    def __init__(self) -> None:
        super().__init__(name=f"Int64x{ROWS}")


@register_model(BlockType)
class _BlockModel(models.PrimitiveModel):
    """A block is held as one LLVM array of vectors, which becomes registers."""

    def __init__(self, dmm: DataModelManager, fe_type: types.Type) -> None:
        super().__init__(dmm, fe_type, ir.ArrayType(_VEC, ROWS))


@register_model(PlacesType)
class _PlacesModel(models.PrimitiveModel):
    """Places are held as one LLVM array of integers."""

    def __init__(self, dmm: DataModelManager, fe_type: types.Type) -> None:
        super().__init__(dmm, fe_type, ir.ArrayType(_INDEX, ROWS))


block, places = BlockType(), PlacesType()


def _gathered(builder: ir.IRBuilder, element: ir.Type, of_row: Callable[[int], ir.Value]) -> ir.Value:
    """What a function makes of every row, together."""
    value = ir.Constant(ir.ArrayType(element, ROWS), ir.Undefined)
    for row in range(ROWS):
        value = builder.insert_value(value, of_row(row), row)
    return value


@intrinsic
def fill(typingctx, vector):  # type: ignore[no-untyped-def]
    """All rows equal to one vector."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _gathered(builder, _VEC, lambda row: args[0])

    return block(vec), codegen


@intrinsic
def listed(typingctx, array, first):  # type: ignore[no-untyped-def]
    """The places that a flat int64 array names from `first` on."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = pointer(context, builder, signature.args[0], args[0], args[1], _INDEX)

        def of_row(row: int) -> ir.Value:
            return builder.load(builder.gep(data, [ir.Constant(_INDEX, row)]), typ=_INDEX)

        return _gathered(builder, _INDEX, of_row)

    return places(array, types.intp), codegen


@intrinsic
def spaced(typingctx, first, step):  # type: ignore[no-untyped-def]
    """The places `first`, `first + step` and so on."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            return builder.add(args[0], builder.mul(args[1], ir.Constant(_INDEX, row)))

        return _gathered(builder, _INDEX, of_row)

    return places(types.intp, types.intp), codegen


@intrinsic
def load(typingctx, array, at):  # type: ignore[no-untyped-def]
    """The vectors of a flat float32 array that begin at `at`, which are places."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            place = builder.extract_value(args[1], row)
            data = pointer(context, builder, signature.args[0], args[0], place, _VEC)
            return builder.load(data, align=4, typ=_VEC)

        return _gathered(builder, _VEC, of_row)

    return block(array, places), codegen


@intrinsic
def store(typingctx, array, at, value):  # type: ignore[no-untyped-def]
    """Write the vectors to a flat float32 array, where they begin at `at`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        for row in range(ROWS):
            place = builder.extract_value(args[1], row)
            data = pointer(context, builder, signature.args[0], args[0], place, _VEC)
            builder.store(builder.extract_value(args[2], row), data, align=4)
        return context.get_dummy_value()

    return types.none(array, places, block), codegen


@intrinsic
def fma_splat(typingctx, array, at, index, vector, sums):  # type: ignore[no-untyped-def]
    """`array[at + index] * vector + sums`: one float32 per row, spread over its lanes."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            place = builder.add(builder.extract_value(args[1], row), args[2])
            data = pointer(context, builder, signature.args[0], args[0], place, ir.FloatType())
            factor = spread(builder, builder.load(data, typ=ir.FloatType()))
            return fused(builder, factor, args[3], builder.extract_value(args[4], row))

        return _gathered(builder, _VEC, of_row)

    return block(array, places, types.intp, vec, block), codegen


@intrinsic
def fma(typingctx, vector, a, b):  # type: ignore[no-untyped-def]
    """`vector * a + b`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            return fused(
                builder, args[0], builder.extract_value(args[1], row), builder.extract_value(args[2], row)
            )

        return _gathered(builder, _VEC, of_row)

    return block(vec, block, block), codegen


@intrinsic
def add(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Sums lane by lane."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            return builder.fadd(builder.extract_value(args[0], row), builder.extract_value(args[1], row))

        return _gathered(builder, _VEC, of_row)

    return block(block, block), codegen


@intrinsic
def where_positive(typingctx, test, value):  # type: ignore[no-untyped-def]
    """`value` in the lanes where `test > 0`, zero elsewhere."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_row(row: int) -> ir.Value:
            return positive(builder, builder.extract_value(args[0], row), builder.extract_value(args[1], row))

        return _gathered(builder, _VEC, of_row)

    return block(block, block), codegen
