"""Types and ranges as annotations state them: what is accepted is made to fit, all else is told in one sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from prior_lab.checks import Above, Count, Share, Within, check_fields, entry_point, nearest, parse_json
from prior_lab.errors import InputError


@dataclass(frozen=True)
class Settings:
    count: Count = 1
    share: Share = 0.5
    speed: Annotated[float, Above(0)] | None = None
    name: str = ""
    kind: Literal["a", "b"] = "a"
    sides: tuple[Annotated[int, Within(1, 9)], ...] = (1,)
    on: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@entry_point
def called(
    values: Float[Tensor, "batch"] | None = None,
    *,
    tokens: Sequence[int] | slice | None = None,
    path: str | Path = "",
    weights: Mapping[str, float] | None = None,
    report: Callable[[str], None] | None = None,
    count: Count = 1,
    generator: torch.Generator | None = None,
) -> object:
    return tokens


def test_numbers_of_numpy_and_torch_lists_and_whole_numbers_are_made_to_fit() -> None:
    made = Settings(count=np.int64(3), share=1, sides=[1, np.int32(2)], speed=np.float32(0.5))
    assert (made.count, made.share, made.sides, made.speed) == (3, 1.0, (1, 2), 0.5)
    assert [type(made.count), type(made.share), type(made.speed)] == [int, float, float]
    assert called(tokens=torch.tensor([1, 2])) == [1, 2]
    assert called(tokens=slice(3)) == slice(3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"count": 1.5}, "count is 1.5; a whole number was expected."),
        ({"count": True}, "count is True; a whole number was expected."),
        ({"count": float("nan")}, "count is nan; a whole number was expected."),
        ({"count": 0}, "count is 0; it must be at least 1."),
        ({"count": 10**10}, "count is 10000000000; it must be at most 1,000,000,000."),
        ({"share": "x" * 100}, f"share is '{'x' * 79}...; a number was expected."),
        ({"share": -0.1}, "share is -0.1; it must lie in 0..1."),
        ({"share": float("nan")}, "share is nan; it must be finite."),
        ({"speed": 0.0}, "speed is 0.0; it must be above 0."),
        ({"speed": []}, "speed is a list; a number or None was expected."),
        ({"name": None}, "name is None; a text was expected."),
        ({"kind": "c"}, "kind is 'c'; one of a, b was expected."),
        ({"sides": 3}, "sides is 3; a sequence, each a whole number, was expected."),
        ({"sides": (1, "2")}, "sides holds '2'; a whole number was expected."),
        ({"sides": (10,)}, "sides is 10; it must be at most 9."),
        ({"on": 1}, "on is 1; True or False was expected."),
    ],
)
def test_a_field_that_is_not_what_it_states_is_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        Settings(**settings)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"values": [1.0]}, "values is a list; a dense tensor [batch] or None was expected."),
        ({"values": torch.ones(1, device="meta")}, "values is a Tensor; a dense tensor [batch] or None was expected."),
        ({"values": torch.ones(2, 2).to_sparse()}, "values is a Tensor; a dense tensor [batch] or None was expected."),
        ({"tokens": [1.7]}, "tokens holds 1.7; a whole number was expected."),
        ({"tokens": "12"}, "tokens is '12'; a sequence, each a whole number, or a slice or None was expected."),
        ({"path": 3}, "path is 3; a text or a path was expected."),
        ({"weights": {"a": "b"}}, "weights is a dict; a Mapping or None was expected."),
        ({"report": 3}, "report is 3; a function or None was expected."),
        ({"report": Settings}, "report is the class Settings; a function or None was expected."),
        ({"count": -1}, "count is -1; it must be at least 1."),
        (
            {"generator": np.random.default_rng()},
            "generator is a Generator of numpy; a Generator or None was expected.",
        ),
    ],
)
def test_an_argument_that_is_not_what_it_states_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        called(**arguments)
    assert str(refused.value) == sentence


def test_a_call_that_python_refuses_is_still_pythons() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        called(nothing=1)


@pytest.mark.parametrize("text", ["{", "[" * 200_000, None, "\ud800"])
def test_what_is_no_json_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"^The config is (not JSON|JSON nested too deep)"):
        parse_json(text, "The config")


def test_the_nearest_names_are_told_and_no_more() -> None:
    names = [f"household/{kind}/{arm}" for kind in ("contrastive", "reconstruction") for arm in ("prior", "td", "itd")]
    assert nearest("household/reconstruction/prio", names).startswith("household/reconstruction/prior, ")
    assert nearest("zzzz", names).count(",") == 2
    assert nearest("x", []) == "none"
