"""Arrays that ops take beside plain ones, with the operators that lead to the ops."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from sci.errors import DTypeError, InvalidValueError

__all__ = ["Operand", "variable_method"]

_OPS: dict[str, Callable[..., Any]] = {}
"""The ops behind the operators and methods of an `Operand`, by name; the modules of `sci.nn.ops` fill it."""

Operation = TypeVar("Operation", bound=Callable[..., Any])


def variable_method(name: str) -> Callable[[Operation], Operation]:
    """Register the decorated op as the one that an `Operand` uses for `name`, such as "add" for `+`."""

    def register(operation: Operation) -> Operation:
        _OPS[name] = operation
        return operation

    return register


class Operand:
    """What `Variable` and `Dual` share: an array `value`, and operators that call ops.

    Notes
    -----
    NumPy functions and comparisons are refused: they would leave the derivative out.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy leaves `array * operand` to the operand
    __array_priority__ = 1000  # and CuPy does, by this

    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """Number of entries of the value."""
        return int(self.value.size)

    def __add__(self, other: Any) -> Any:
        return _OPS["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return _OPS["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return _OPS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return _OPS["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return _OPS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return _OPS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return _OPS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _OPS["divide"](other, self)

    def __pow__(self, exponent: float) -> Any:
        if isinstance(exponent, Operand):
            raise DTypeError("a power whose exponent is a variable; expected a number, or write exp(exponent * log(x))")
        return _OPS["power"](self, exponent=exponent)

    def __rpow__(self, base: float) -> Any:
        if not isinstance(base, numbers.Real) or not 0 < base < math.inf:
            raise InvalidValueError(f"{base!r} to the power of a variable; expected a positive number as the base")
        return _OPS["exp"](self * math.log(base))

    def __abs__(self) -> Any:
        return _OPS["absolute"](self)

    def __matmul__(self, other: Any) -> Any:
        return _OPS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _OPS["matmul"](other, self)

    def __neg__(self) -> Any:
        return _OPS["negative"](self)

    def __pos__(self) -> Operand:
        return self

    def __getitem__(self, index: Any) -> Any:
        return _OPS["select"](self, index=index)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    @property
    def T(self) -> Any:
        """The variable with its axes in reverse order."""
        return _OPS["transpose"](self, axes=tuple(reversed(range(self.ndim))))

    def reshape(self, *shape: Any) -> Any:
        """Return the variable in another shape, given as numbers or as one tuple."""
        return _OPS["reshape"](self, shape=shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Any:
        """Return the sum over `axis`, or over everything."""
        return _OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Any:
        """Return the mean over `axis`, or over everything."""
        return _OPS["mean"](self, axis=axis, keepdims=keepdims)

    def _refuse_comparison(self, *_: Any) -> NoReturn:
        raise DTypeError("a variable has no truth value and no comparisons; compare its array, `variable.value`")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _refuse_comparison
    __hash__ = object.__hash__

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise DTypeError("a variable is no array; use the ops of sci.nn, or take its array, `variable.value`")

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        name = getattr(function, "__name__", function)
        raise DTypeError(f"numpy.{name} of a variable; use the op of sci.nn, or take its array, `variable.value`")
