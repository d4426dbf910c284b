"""Sixteen float32 at a time inside numba: the few vector operations the fused trainer is made of.

Numba does not vectorise short products of small matrices well: it must prove that arrays do not overlap
and cannot keep a block of sums in registers. `VecType` is a numba type that *is* an LLVM vector
`<16 x float>`, so a kernel can say which sums stay in registers. LLVM turns it into whatever the processor
has (one AVX-512, two AVX, four SSE or NEON registers), so nothing here depends on the machine. Reductions
have a fixed tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

if TYPE_CHECKING:
    from numba.core.base import BaseContext
    from numba.core.datamodel.manager import DataModelManager

# The decorated functions lose their first argument, which type checkers cannot know.
intrinsic: Any = _intrinsic

LANES = 16
"""float32 lanes of a `Vec`."""

_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_VEC = ir.VectorType(_FLOAT, LANES)
_IVEC = ir.VectorType(_INT, LANES)


class VecType(types.Type):
    """Numba's type of a vector of sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="Float32x16")


vec = VecType()


@register_model(VecType)
class _VecModel(models.PrimitiveModel):
    """A `Vec` is held as one LLVM vector value."""

    def __init__(self, dmm: DataModelManager, fe_type: types.Type) -> None:
        super().__init__(dmm, fe_type, _VEC)


def pointer(
    context: BaseContext,
    builder: ir.IRBuilder,
    array_type: types.Array,
    array: ir.Value,
    index: ir.Value,
    element: ir.Type,
) -> ir.Value:
    """Address of `array[index]` of a flat array, as a pointer to `element`."""
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def spread(builder: ir.IRBuilder, scalar: ir.Value, kind: ir.Type = _VEC) -> ir.Value:
    """All lanes equal to a scalar."""
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_INT, 0))
    mask = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), mask)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VEC, [value] * LANES)


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, args: list[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic by its mangled name."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, args)


def fused(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """`a b + c`: fused where the processor can, two roundings where it cannot."""
    return _call(builder, "llvm.fmuladd.v16f32", _VEC, [a, b, c])


def positive(builder: ir.IRBuilder, test: ir.Value, value: ir.Value) -> ir.Value:
    """`value` in the lanes where `test > 0`, zero elsewhere."""
    return builder.select(builder.fcmp_ordered(">", test, _constant(0.0)), value, _constant(0.0))


@intrinsic
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """`array[index:index + 16]` of a flat float32 array."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = pointer(context, builder, signature.args[0], args[0], args[1], _VEC)
        return builder.load(data, align=4, typ=_VEC)

    return vec(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):  # type: ignore[no-untyped-def]
    """`array[index:index + 16] = value` of a flat float32 array."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = pointer(context, builder, signature.args[0], args[0], args[1], _VEC)
        builder.store(args[2], data, align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, vec), codegen


@intrinsic
def splat(typingctx, scalar):  # type: ignore[no-untyped-def]
    """All lanes equal to one float32."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return spread(builder, args[0])

    return vec(types.float32), codegen


@intrinsic
def fma_splat(typingctx, array, index, b, c):  # type: ignore[no-untyped-def]
    """`array[index] * b + c` with one float32 of a flat array spread over all lanes."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = pointer(context, builder, signature.args[0], args[0], args[1], _FLOAT)
        return fused(builder, spread(builder, builder.load(data, typ=_FLOAT)), args[2], args[3])

    return vec(array, types.intp, vec, vec), codegen


@intrinsic
def fma(typingctx, a, b, c):  # type: ignore[no-untyped-def]
    """`a * b + c` lane by lane."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return fused(builder, *args)

    return vec(vec, vec, vec), codegen


def _binary(instruction: str):  # type: ignore[no-untyped-def]
    """An intrinsic for one arithmetic instruction on two vectors."""

    @intrinsic
    def operation(typingctx, a, b):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return getattr(builder, instruction)(args[0], args[1])

        return vec(vec, vec), codegen

    return operation


add = _binary("fadd")
sub = _binary("fsub")
mul = _binary("fmul")
div = _binary("fdiv")


def _larger(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Lane-wise maximum; a NaN in `a` is kept."""
    return builder.select(builder.fcmp_unordered(">", a, b), a, b)


@intrinsic
def maximum(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Lane-wise maximum."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _larger(builder, args[0], args[1])

    return vec(vec, vec), codegen


@intrinsic
def where_positive(typingctx, test, value):  # type: ignore[no-untyped-def]
    """`value` in the lanes where `test > 0`, zero elsewhere."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return positive(builder, *args)

    return vec(vec, vec), codegen


def _lanes_where(compare: str) -> Any:
    """An intrinsic that compares two vectors; lane k of the answer is bit k of an integer."""

    @intrinsic
    def comparison(typingctx, a, b):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            lanes = builder.fcmp_ordered(compare, args[0], args[1])
            return builder.zext(builder.bitcast(lanes, ir.IntType(LANES)), ir.IntType(64))

        return types.int64(vec, vec), codegen

    return comparison


lanes_above = _lanes_where(">")
lanes_equal = _lanes_where("==")


def _tree(
    builder: ir.IRBuilder, value: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value]
) -> ir.Value:
    """Fold the lanes in halves: the same tree on every machine."""
    width = LANES
    while width > 1:
        width //= 2
        mask = ir.Constant(ir.VectorType(_INT, width), list(range(width)))
        upper = ir.Constant(ir.VectorType(_INT, width), list(range(width, 2 * width)))
        blank = ir.Constant(value.type, ir.Undefined)
        value = combine(
            builder.shuffle_vector(value, blank, mask), builder.shuffle_vector(value, blank, upper)
        )
    return builder.extract_element(value, ir.Constant(_INT, 0))


@intrinsic
def sum_lanes(typingctx, a):  # type: ignore[no-untyped-def]
    """Sum of the lanes."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _tree(builder, args[0], builder.fadd)

    return types.float32(vec), codegen


@intrinsic
def max_lanes(typingctx, a):  # type: ignore[no-untyped-def]
    """Largest lane."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _tree(builder, args[0], lambda a, b: _larger(builder, a, b))

    return types.float32(vec), codegen


# Minimax polynomial of exp(r) on |r| <= ln(2)/2, relative error below 2e-7 (Cephes expf).
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


@intrinsic
def exp(typingctx, a):  # type: ignore[no-untyped-def]
    """`e**a` for a <= 88; 0 below -87; NaN stays NaN."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        low = _constant(-87.0)
        x = _larger(builder, args[0], low)
        scaled = builder.fmul(x, _constant(1.44269504088896341))
        whole = _call(builder, "llvm.rint.v16f32", _VEC, [scaled])
        r = fused(builder, whole, _constant(-0.693359375), x)
        r = fused(builder, whole, _constant(2.12194440e-4), r)
        y = _constant(_EXP[0])
        for coefficient in _EXP[1:]:
            y = fused(builder, y, r, _constant(coefficient))
        y = fused(builder, builder.fmul(r, r), y, builder.fadd(r, _constant(1.0)))
        # A NaN must not reach the conversion to integers, where it is undefined; y carries it on.
        safe = builder.select(builder.fcmp_ordered("==", whole, whole), whole, _constant(0.0))
        exponent = builder.add(builder.fptosi(safe, _IVEC), ir.Constant(_IVEC, [127] * LANES))
        power = builder.bitcast(builder.shl(exponent, ir.Constant(_IVEC, [23] * LANES)), _VEC)
        below = builder.fcmp_ordered("<", args[0], low)
        return builder.select(below, _constant(0.0), builder.fmul(y, power))

    return vec(vec), codegen


@intrinsic
def sqrt(typingctx, a):  # type: ignore[no-untyped-def]
    """Square root lane by lane."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _call(builder, "llvm.sqrt.v16f32", _VEC, [args[0]])

    return vec(vec), codegen
