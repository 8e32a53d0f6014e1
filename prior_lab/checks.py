"""One check for all that users hand over: types and ranges as annotations state them, reported in one sentence.

A frozen dataclass calls `check_fields(self)` when it is made; a public function is an `@entry_point`. Ranges are stated
where the type is:

    steps: Annotated[int, Within(1, MANY)] = 1200

Whole numbers of NumPy and torch become Python's, lists become the tuples that are asked for, and whole numbers become
the floats. Of tensors the shape is not looked at here, only that they hold numbers that can be read.
"""

import collections.abc
import functools
import inspect
import json
import math
import numbers
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, get_args, get_origin

from prior_lab.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
MANY = 10**9


@dataclass(frozen=True)
class Within:
    """Both ends belong to it."""

    low: float | int
    high: float | int = math.inf

    def problem(self, value: float | int) -> str | None:
        """What is wrong with a number, as the end of a sentence."""
        if self.low <= value <= self.high:
            return None
        if (self.low, self.high) == (0, 1):
            return "lie in 0..1"
        if value > self.high:
            return f"be at most {self.high:,}"
        return "not be negative" if self.low == 0 else f"be at least {self.low:,}"


@dataclass(frozen=True)
class Above:
    """The end does not belong to it."""

    low: float | int

    def problem(self, value: float | int) -> str | None:
        """What is wrong with a number, as the end of a sentence."""
        return None if value > self.low else f"be above {self.low:,}"


Share = Annotated[float, Within(0, 1)]
Positive = Annotated[float, Above(0)]
NotNegative = Annotated[float, Within(0)]
Count = Annotated[int, Within(1, MANY)]
Seed = Annotated[int, Within(0, 2**63 - 1)]


class _WrongTypeError(Exception):
    """What a value should have been."""


def check_fields(made: Any, owner: str = "") -> None:
    """Refuse a frozen dataclass whose fields are not what their annotations state.

    Parameters
    ----------
    owner : stands before the names of fields, where they alone would not say what is meant.

    Raises
    ------
    InputError : naming the field, its value and what it must be.
    """
    kind: Any = type(made)
    hints = _field_hints(kind)
    for field in fields(made):
        value = getattr(made, field.name)
        checked = _checked(f"{owner} {field.name}".strip(), value, hints[field.name])
        if checked is not value:
            object.__setattr__(made, field.name, checked)


def entry_point(function: Callable[P, T]) -> Callable[P, T]:
    """A public function, which refuses arguments that are not what its annotations state.

    Raises
    ------
    InputError : naming the argument, its value and what it must be.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*arguments: P.args, **named: P.kwargs) -> T:
        hints = _parameter_hints(function)
        bound = signature.bind(*arguments, **named)
        for name, value in bound.arguments.items():
            if name in hints:
                bound.arguments[name] = _checked(name, value, hints[name])
        return function(*bound.args, **bound.kwargs)

    return called


def whole_number(name: str, value: object) -> int:
    """A whole number that a user gave.

    Raises
    ------
    InputError : if it is something else.
    """
    return int(_checked(name, value, int))


def parse_json(text: object, noun: str) -> Any:
    """What a JSON text holds.

    Parameters
    ----------
    noun : what the text is, for the sentence.

    Raises
    ------
    InputError : if it is no JSON, or nested too deep.
    """
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(f"{noun} is not JSON: {str(error)[:200]}.") from error
    except RecursionError as error:
        raise InputError(f"{noun} is JSON nested too deep to be read.") from error


def nearest(wanted: str, available: Iterable[str], count: int = 3) -> str:
    """The few names that come nearest to one that is not there, for a sentence."""
    import difflib

    names = sorted(available)
    near = difflib.get_close_matches(wanted, names, count, cutoff=0.3) or names[:count]
    return ", ".join(near) or "none"


def _checked(name: str, value: Any, hint: Any) -> Any:
    try:
        return _fit(value, hint, name)
    except _WrongTypeError:
        given, expected = described(value), _expected(hint)
        if given in expected.split(" or "):  # of the same name, such as NumPy's and torch's Generator
            given = f"{given} of {type(value).__module__.partition('.')[0]}"
        raise InputError(f"{name} is {given}; {expected} was expected.") from None


def described(value: object) -> str:
    """A value, if it is short, else what it is."""
    if value is None or isinstance(value, bool | numbers.Real | str):
        text = repr(getattr(value, "item", lambda: value)())  # NumPy's numbers as Python's
        return text if len(text) <= 80 else f"{text[:80]}..."
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _fit(value: Any, hint: Any, name: str) -> Any:
    """The value as the hint has it."""
    origin = get_origin(hint)
    if origin is Annotated:
        kind, *bounds = get_args(hint)
        fitting = _fit(value, kind, name)
        for bound in bounds:
            problem = bound.problem(fitting) if isinstance(bound, Within | Above) and fitting is not None else None
            if problem:
                raise InputError(f"{name} is {described(value)}; it must {problem}.")
        return fitting
    if origin in (typing.Union, types.UnionType):
        for choice in get_args(hint):
            try:
                return _fit(value, choice, name)
            except _WrongTypeError:
                continue
        raise _WrongTypeError
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            raise _WrongTypeError
        return value
    if hint is int:
        return _whole(value)
    if hint is float:
        return _number(value, name)
    return _of_class(value, hint, origin, name)


def _of_class(value: Any, hint: Any, origin: Any, name: str) -> Any:
    if hint is None or hint is types.NoneType:
        if value is not None:
            raise _WrongTypeError
        return value
    if hint is Any or isinstance(hint, TypeVar | str) or hint is object:
        return value
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        if not callable(value) or isinstance(value, type):
            raise _WrongTypeError
        return value
    if origin in (tuple, collections.abc.Sequence, list):
        return _sequence(value, hint, origin, name)
    if origin is not None and isinstance(origin, type):
        if not isinstance(value, origin):
            raise _WrongTypeError
        if issubclass(origin, Mapping):
            key_hint, value_hint = get_args(hint)
            entries: Any = value
            for key, one in entries.items():
                _fit(key, key_hint, name)
                _fit(one, value_hint, name)
        return value
    if hasattr(hint, "dim_str"):
        return _tensor(value)
    if isinstance(hint, type):
        if not isinstance(value, hint):
            raise _WrongTypeError
        return _tensor(value) if hint.__name__ == "Tensor" else value
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        raise _WrongTypeError
    try:
        return operator.index(value)
    except TypeError as error:
        raise _WrongTypeError from error


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _WrongTypeError
    if not math.isfinite(value):
        raise InputError(f"{name} is {described(value)}; it must be finite.")
    return float(value)


def _sequence(value: Any, hint: Any, origin: Any, name: str) -> Any:
    """Elements one by one; a tuple where one is asked for."""
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        value = value.tolist()
    if not isinstance(value, tuple | list | range | collections.abc.Sequence) or isinstance(value, str | bytes):
        raise _WrongTypeError
    element = get_args(hint)[0]
    fitting = []
    for one in value:
        try:
            fitting.append(_fit(one, element, name))
        except _WrongTypeError:
            raise InputError(f"{name} holds {described(one)}; {_expected(element)} was expected.") from None
    return tuple(fitting) if origin is tuple else fitting


def _tensor(value: Any) -> Any:
    import torch

    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_meta or value.is_complex():
        raise _WrongTypeError
    return value


def _expected(hint: Any) -> str:
    """What a hint asks for, in words."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _expected(get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_expected, get_args(hint))))
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "a text", Path: "a path"}
    if hint in words:
        return words[hint]
    if hint is None or hint is types.NoneType:
        return "None"
    if origin in (tuple, collections.abc.Sequence, list):
        return f"a sequence, each {_expected(get_args(hint)[0])},"
    if origin is collections.abc.Callable:
        return "a function"
    if hasattr(hint, "dim_str"):
        return f"a dense tensor [{', '.join(hint.dim_str.split())}]"
    name = getattr(origin or hint, "__name__", str(hint))
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


@functools.cache
def _field_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _parameter_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """What is stated of the parameters; what cannot be looked up is not checked."""
    hints = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = parameter.annotation
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or hint is parameter.empty:
            continue
        if isinstance(hint, str):
            try:
                hint = eval(hint, inspect.unwrap(function).__globals__)
            except NameError:  # imported for type checkers only
                continue
        hints[name] = hint
    return hints
