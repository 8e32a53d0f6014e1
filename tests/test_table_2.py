"""Table 2 of the paper beside ours, from the modules themselves: width 128, 127 tokens. `pytest -s` prints both.

The paper's text determines the parts but for the encoder: what FLIP's readout of 127 tokens is made of it does not say,
so encoders, and with them the totals, are held to 0.01 M and the other parts to the printed digit. The size of the
token heads is the difference between the encoders with a token kind and with EMA-VQ, which has none.
"""

import pytest
import torch
from torch import nn

from prior_lab import paper
from prior_lab.layers import ProjectionHead
from prior_lab.levels import Levels
from prior_lab.models import ContrastiveConfig, ContrastiveModel
from prior_lab.orderings import OrderingName, Prior
from prior_lab.tokens import TOKEN_LABELS, EMAVQTokens, TokenName, Tokens, make_tokens

LEVELS, WIDTH = Levels(7), 128


def parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def bottlenecks(architecture: str, kind: TokenName) -> list[Tokens]:
    with torch.device("meta"):
        if architecture == "MBOP":
            return [make_tokens(kind, WIDTH, tokens=LEVELS.tokens, shared=False)]
        return [make_tokens(kind, WIDTH, tokens=size, shared=True) for size in LEVELS.sizes]


def projection(architecture: str) -> int:
    heads = LEVELS.count if architecture == "PRIOR" else 1
    return parameters(*(ProjectionHead(1, WIDTH) for _ in range(heads)))


def codebooks(architecture: str) -> int:
    books = [tokens for tokens in bottlenecks(architecture, "ema-vq") if isinstance(tokens, EMAVQTokens)]
    assert parameters(*books) == 0
    return sum(tokens.codes.numel() for tokens in books)


def predictors() -> int:
    return parameters(Prior(LEVELS, WIDTH, bottlenecks("PRIOR", "fsq"), depth=3).predictors)


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, int, float, int]]:
    """Name, our number, the paper's [million], and of how many numbers rounded to 0.001 M the paper's is made."""
    table, found = paper.table2(), []
    for architecture in ("MBOP", "PRIOR"):
        printed = table.sel(architecture=architecture)
        for kind, label in (("gaussian", "Gaussian"), ("categorical", "Categorical")):
            encoders = printed.sel(part="flip")
            heads = (encoders.sel(token_kind=label) - encoders.sel(token_kind="EMA-VQ")).item()
            found.append((f"{architecture} {label} heads", parameters(*bottlenecks(architecture, kind)), heads, 2))
        books = printed.sel(part="ema", token_kind="EMA-VQ").item()
        found.append((f"{architecture} EMA codebooks", codebooks(architecture), books, 1))
        head = printed.sel(part="projection", token_kind="Gaussian").item()
        found.append((f"{architecture} projection heads", projection(architecture), head, 1))
    self_prediction = table.sel(architecture="PRIOR", token_kind="Gaussian", part="self_pred").item()
    return [*found, ("PRIOR self-prediction", predictors(), self_prediction, 1)]


def columns(architecture: str, kind: TokenName) -> dict[str, int]:
    """A row of the table, in parameters."""
    ordering: OrderingName = "prior" if architecture == "PRIOR" else "td"
    with torch.device("meta"):
        model = ContrastiveModel(ContrastiveConfig.preset("paper", ordering=ordering, tokens=kind))
    return model.parameter_counts()


def test_the_paper_presets_totals_are_those_of_table_2() -> None:
    table = paper.table2()
    print(f"\n{'[M]':20}" + "".join(f"{part:>26}" for part in table.part.values))
    print(20 * " " + len(table.part) * "      ours   paper    diff")
    for architecture in ("MBOP", "PRIOR"):
        for kind, label in TOKEN_LABELS.items():
            if label not in table.token_kind:
                continue
            printed = table.sel(architecture=architecture, token_kind=label)
            ours = columns(architecture, kind)  # type: ignore[arg-type]
            assert list(ours) == list(table.part.values)
            line = f"{architecture + ' ' + label:20}"
            for part, count in ours.items():
                theirs = float(printed.sel(part=part).fillna(0.0))
                line += f"{count / 1e6:10.3f}{theirs:8.3f}{count / 1e6 - theirs:+8.3f}"
                exact = part in ("projection", "ema", "self_pred")
                assert count / 1e6 == pytest.approx(theirs, abs=0.0005 + 1e-9 if exact else 0.01), (label, part)
            print(line)


def test_our_parts_have_the_sizes_that_the_paper_prints(rows: list[tuple[str, int, float, int]]) -> None:
    print(f"\n{'':28}{'ours':>12}{'[M]':>8}{'paper':>8}")
    for name, ours, printed, _ in rows:
        print(f"{name:28}{ours:12,}{ours / 1e6:8.3f}{printed:8.3f}")
    for name, ours, printed, roundings in rows:
        assert ours / 1e6 == pytest.approx(printed, abs=0.0005 * roundings + 1e-9), name


def test_our_parts_have_the_sizes_that_follow_from_the_text(rows: list[tuple[str, int, float, int]]) -> None:
    assert {name: ours for name, ours, _, _ in rows} == {
        "MBOP Gaussian heads": 127 * (128 * 256 + 256),
        "MBOP Categorical heads": 127 * (128 * 128 + 128),
        "MBOP EMA codebooks": 127 * 255 * 128,
        "MBOP projection heads": 132_736,
        "PRIOR Gaussian heads": 7 * (128 * 256 + 256),
        "PRIOR Categorical heads": 7 * (128 * 128 + 128),
        "PRIOR EMA codebooks": sum(16 * 2**level - 1 for level in range(7)) * 128,
        "PRIOR projection heads": 7 * 132_736,
        "PRIOR self-prediction": 3_778_176,
    }
