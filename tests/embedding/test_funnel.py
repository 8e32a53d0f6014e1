"""The funnel and what it reads: sums over tokens, files, schedules, bytes; and the million in little memory."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from prior_lab.embedding import CodeStore, Funnel, OrderedEmbedder, Stage, open_codes, write_codes
from prior_lab.embedding.store import length_of
from prior_lab.errors import InputError
from prior_lab.tokens import EMAVQTokens, FSQTokens, TokenName

WIDTH = 16


def items(count: int, seed: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    centres = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(9))
    chosen = torch.randint(60, (count,), generator=chance)
    return (centres[chosen] + 0.4 * torch.randn(count, WIDTH, generator=chance)) * torch.linspace(2, 0.3, WIDTH)


@pytest.fixture(scope="module")
def embedder() -> OrderedEmbedder:
    return OrderedEmbedder(levels=5, steps=10, batch_size=64).fit(items(600, 0))


@pytest.fixture(scope="module")
def store(embedder: OrderedEmbedder) -> CodeStore:
    return CodeStore.of_code(embedder, embedder.encode(items(40_000, 1)))


def scanned(store: CodeStore, queries: torch.Tensor) -> torch.Tensor:
    rows = slice(None)
    products = sum(
        one.products_of(np.arange(len(store)), one.terms(queries)[:, 0].contiguous()) for one in store.levels
    )
    return (products + queries @ store.bias) / length_of(store.levels[-1].norms[rows])


@pytest.mark.parametrize("kind", [EMAVQTokens, FSQTokens])
def test_the_vectors_of_a_kind_are_those_that_its_indices_mean(kind: type) -> None:
    tokens = kind(8, heads=3, codes=9) if kind is EMAVQTokens else kind(8, heads=3)
    features = torch.randn(200, 3, 8, generator=torch.Generator().manual_seed(0))
    tokens.train()(features)
    posterior = tokens.eval()(features)
    for token in range(3):
        torch.testing.assert_close(tokens.vectors()[token][posterior.index[:, token]], posterior.states[:, token])


@pytest.mark.parametrize("tokens", get_args(TokenName))
def test_sums_over_tokens_are_what_the_head_reads(tokens: TokenName) -> None:
    embedder = OrderedEmbedder("td", tokens, 4, steps=5, batch_size=64).fit(items(400, 0))
    code = embedder.encode(items(300, 1))
    read = torch.nn.functional.normalize(embedder.read(code), dim=1)
    query = read[:1]
    told = scanned(CodeStore.of_code(embedder, code), query)
    torch.testing.assert_close(told, read @ query[0], atol=0.05, rtol=0.05)  # a byte tells a length to 1.1 %


def test_sums_of_residual_levels_are_near_what_their_heads_read() -> None:
    embedder = OrderedEmbedder("prior", "ema-vq", 4, steps=60, batch_size=64).fit(items(600, 0))
    code = embedder.encode(items(300, 1))
    read = torch.nn.functional.normalize(embedder.read(code), dim=1)
    told = scanned(CodeStore.of_code(embedder, code), read[:1])
    assert torch.corrcoef(torch.stack([told, read @ read[0]]))[0, 1] > 0.8


def test_a_chosen_funnel_finds_what_a_scan_finds_and_reads_a_part(store: CodeStore, embedder: OrderedEmbedder) -> None:
    funnel = Funnel(store).choose(embedder.transform(items(60, 2)), recall=0.99)
    queries = embedder.transform(items(60, 3))
    full, found = funnel.scan(queries), funnel.search(queries)
    assert found.recall(full.items) >= 0.97
    assert found.nbytes <= 0.4 * found.full_nbytes  # of codes of 31 bytes
    assert len(funnel.schedule) == len(found.stages) > 1
    assert full.nbytes == full.full_nbytes == len(store) * store.nbytes
    assert (found.scores.diff(dim=1) <= 0).all()


def test_bytes_are_counted_as_they_are_read(store: CodeStore, embedder: OrderedEmbedder) -> None:
    found = Funnel(store, [Stage(1, 50), Stage(4, 10)]).search(embedder.transform(items(7, 3)))
    first, second = found.stages
    assert first.nbytes == 40_000 * (3 + 1)  # three tokens, and a length
    assert second.items >= 50
    assert second.nbytes == second.items * (4 + 8 + 16 + 1)
    assert "of the bytes of a full scan" in str(found)


@pytest.mark.parametrize("schedule", [[Stage(4, 10)], [Stage(2, 40_000), Stage(4, 10)]])
def test_a_funnel_that_keeps_everything_is_a_scan(
    store: CodeStore, embedder: OrderedEmbedder, schedule: list[Stage]
) -> None:
    queries = embedder.transform(items(5, 3))
    found = Funnel(store, schedule).search(queries)
    for query, row in zip(torch.nn.functional.normalize(torch.from_numpy(queries), dim=1), found.scores, strict=True):
        torch.testing.assert_close(row, scanned(store, query[None]).topk(10).values, atol=1e-4, rtol=1e-4)


def test_batches_do_not_change_what_is_found(store: CodeStore, embedder: OrderedEmbedder) -> None:
    funnel, queries = Funnel(store, [Stage(2, 200), Stage(4, 10)]), embedder.transform(items(40, 3))
    alone = torch.cat([funnel.search(query[None]).scores for query in queries])
    torch.testing.assert_close(funnel.search(queries).scores, alone)


def test_files_are_read_as_they_were_written(
    store: CodeStore, embedder: OrderedEmbedder, tmp_path: Path, no_shape_checks: None
) -> None:
    path = tmp_path / "codes.safetensors"
    on_disk = write_codes(embedder, items(40_000, 1).split(9_000), path)
    assert repr(on_disk) == "CodeStore(40,000 items, levels of 1, 2, 4, 8, 16 bytes)"
    assert isinstance(on_disk.levels[0].columns, np.memmap)
    queries = embedder.transform(items(5, 3))
    assert torch.equal(Funnel(on_disk).scan(queries).items, Funnel(store).scan(queries).items)
    whole = path.read_bytes()
    for broken in (whole[:-9], whole[:40], b"", b"\0" * 64, whole.replace(b"codes/1", b"codes/9")):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="holds no codes|is not JSON"):
            open_codes(path)


def test_a_file_that_cannot_be_written_leaves_what_was_there(embedder: OrderedEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "codes.safetensors"
    write_codes(embedder, items(50, 1), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="X has 3 features"):
        write_codes(embedder, [items(50, 1), torch.zeros(4, 3)], path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_vectors_of_ones_own_are_searched_by_their_leading_columns() -> None:
    vectors, queries = items(5_000, 1), items(20, 3)
    funnel = Funnel(CodeStore.of_vectors(vectors, [4, 8, 16])).choose(items(20, 2), recall=0.95)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    exact = (torch.nn.functional.normalize(queries, dim=1) @ unit.T).topk(10).indices
    assert funnel.scan(queries).recall(exact) > 0.85  # lengths are told to 1.1 %
    assert funnel.search(queries).recall(funnel.scan(queries).items) > 0.9


@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_input_is_answered_by_one_sentence(store: CodeStore, embedder: OrderedEmbedder, tmp_path: Path) -> None:
    funnel, queries = Funnel(store), embedder.transform(items(3, 3))
    for says, call in (
        ("queries have the shape", lambda: funnel.search(queries[:, :5])),
        ("queries holds NaN", lambda: funnel.search(queries * np.nan)),
        ("k is 50000; there are 40000 items", lambda: funnel.search(queries, 50_000)),
        ("k is 0", lambda: funnel.search(queries, 0)),
        ("recall is 1.5", lambda: funnel.choose(queries, recall=1.5)),
        ("The stages read up to the levels", lambda: Funnel(store, [Stage(2, 10)])),
        ("The stages read up to the levels", lambda: Funnel(store, [])),
        ("keeps at least one", lambda: Funnel(store, [Stage(4, 0)])),
        ("codes is 'codes.safetensors'", lambda: Funnel("codes.safetensors")),
        ("widths are", lambda: CodeStore.of_vectors(queries, [4, 4])),
        ("widths are", lambda: CodeStore.of_vectors(queries, [400])),
        ("There is no file of codes", lambda: open_codes(tmp_path / "nothing.safetensors")),
        ("There are no items to write", lambda: write_codes(embedder, [], tmp_path / "codes.safetensors")),
        ("is not fitted", lambda: write_codes(OrderedEmbedder(), items(3, 3), tmp_path / "codes.safetensors")),
    ):
        with pytest.raises(InputError, match=says) as refused:
            call()
        assert "\n" not in str(refused.value)


def test_a_sample_that_misleads_costs_time_and_not_answers() -> None:
    vectors = torch.randn(40_000, 8, generator=torch.Generator().manual_seed(0))
    vectors[::2] = torch.tensor([1.0, *[0.0] * 7])  # the sample sees only these, all of them alike
    store = CodeStore.of_vectors(vectors, [4, 8])
    found = Funnel(store, [Stage(0, 3_000), Stage(1, 10)]).search(-vectors[:2])
    best = (torch.nn.functional.normalize(-vectors[:2], dim=1) @ torch.nn.functional.normalize(vectors, dim=1).T).topk(
        10
    )
    assert found.scores[0, 0] > 0.9 * best.values[0, 0]


MILLION = """
import resource, torch, sys
from pathlib import Path
from prior_lab.embedding import *
chance = torch.Generator().manual_seed(0)
def items(count): return torch.randn(count, 16, generator=chance) * torch.linspace(2, .2, 16)
embedder = OrderedEmbedder(tokens="fsq", levels=4, steps=1).fit(items(500))
store = write_codes(embedder, (items(50_000) for _ in range(20)), sys.argv[1])
found = Funnel(store, [Stage(2, 1000), Stage(3, 10)]).search(embedder.transform(items(40)))
status = Path("/proc/self/status")  # getrusage tells on Linux what the parent needed as well
lines = status.read_text().splitlines() if status.exists() else []
peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
print(len(store), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 if peak is None else peak) / 2**20)
"""


@pytest.mark.slow
def test_a_million_items_need_less_than_two_gigabytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MILLION, str(tmp_path / "codes.safetensors")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.split()
    assert int(told[0]) == 1_000_000
    assert float(told[1]) < 2.0  # GiB
