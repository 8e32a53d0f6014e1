"""Ordered embeddings against peers at equal bytes: `python tests/benchmarks/embedding_peers.py --out FILE`.

EfficientNet-Lite0's features of `emoji`; what is measured is whether a drawing finds its concept among another artist's
(recall at 1 across artists), at 8, 16 and 32 bytes an item. Everything is learnt from the training split; how many bits
a number of PCA, random projection, truncation and Matryoshka gets (8, 4, 2 or 1) is chosen on the validation split, and
tables are on the test split. Leads are paired: percentile bootstrap over the same objects. PRIOR's prefixes are whole
levels, so it gets the most that fits: 4.75, 11.75 and 27.75 bytes.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn

import prior_lab as pl
from prior_lab.embedding import OrderedEmbedder
from prior_lab.embedding.arrays import as_groups
from prior_lab.files import replacing
from prior_lab.objectives import nt_xent
from prior_lab.probes.matching import matching
from prior_lab.probes.samples import Samples
from prior_lab.results import lead

BYTES = (8, 16, 32)
BITS = (8, 4, 2, 1)
STEPS = 300
OURS = {"td": "MBOP-TD", "matryoshka": "Matryoshka ordering", "prior": "PRIOR"}
Reader = Callable[[Tensor], Tensor]
Method = Callable[[int], list[tuple[str, Reader]]]


@dataclass(frozen=True)
class Split:
    """Features of a split, and what is known of the images."""

    features: Tensor
    data: pl.ImageDataset

    def matched(self, reader: Reader) -> object:
        """Recall at 1 across artists, by object."""
        samples = Samples(reader(self.features).float().contiguous(), self.data.labels, self.data.objects)
        artists = self.data.labels[:, self.data.taxonomies.index("artist")]
        table = matching(samples, artists, widths={1: samples.features.shape[1]})
        return table["matched_by_object"].isel(budget=0, drop=True).sel(measure="recall at 1", drop=True)


def load(cache: Path | None) -> dict[str, Split]:
    """Features of all splits; from a file, if they are there."""
    data = {name: pl.load_dataset("emoji", split=name) for name in ("train", "validation", "test")}
    if cache is not None and cache.exists():
        told = torch.load(cache, weights_only=True)
    else:
        told = {name: pl.features("efficientnet-lite0", one) for name, one in data.items()}
        if cache is not None:
            torch.save(told, cache)
    return {name: Split(told[name], data[name]) for name in data}


def numbers(project: Reader, train: Tensor) -> Method:
    """Leading numbers of a projection, each rounded to a number of bits between its 0.1 and 99.9 percentiles."""
    known = project(train)
    low, high = known.quantile(0.001, dim=0), known.quantile(0.999, dim=0)

    def method(count: int) -> list[tuple[str, Reader]]:
        return [(f"{bits} bits a number", reader(8 * count // bits, 2**bits - 1)) for bits in BITS]

    def reader(width: int, steps: int) -> Reader:
        first, span = low[:width], (high - low)[:width].clamp_min(1e-9)
        return lambda x: first + ((project(x)[:, :width] - first) / span).clamp(0, 1).mul(steps).round() / steps * span

    return method


def pca(train: Tensor, power: float) -> Reader:
    """Principal components, divided by their spread to a power."""
    mean = train.mean(dim=0)
    values, vectors = torch.linalg.eigh(((train - mean).T @ (train - mean) / len(train)).double())
    scaled = (vectors.flip(1) * values.flip(0).clamp_min(1e-9) ** (-power / 2)).float()[:, :256]
    return lambda x: (x - mean) @ scaled


def product_quantisation(train: Tensor, project: Reader) -> Method:
    """faiss: as many codebooks of 256 as bytes."""
    import faiss

    known = project(train).contiguous().numpy()

    def method(count: int) -> list[tuple[str, Reader]]:
        quantiser = faiss.ProductQuantizer(known.shape[1], count, 8)
        quantiser.cp.seed = 1
        quantiser.train(known)
        return [
            (
                "8 bits a codebook",
                lambda x: torch.from_numpy(quantiser.decode(quantiser.compute_codes(project(x).contiguous().numpy()))),
            )
        ]

    return method


def matryoshka(train: Tensor, objects: Tensor) -> Reader:
    """The recipe of sentence-transformers' MatryoshkaLoss: one linear map, NT-Xent at every one of nested widths."""
    mean = train.mean(dim=0)
    scale = (train - mean).square().mean().sqrt()
    torch.manual_seed(0)
    layer = nn.Linear(train.shape[1], 256, bias=False)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, STEPS, pct_start=0.1)
    groups, chance = as_groups(len(train), None, objects.numpy()), torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        told = layer((train[groups.draw(128, chance)] - mean) / scale)
        widths = (8, 16, 32, 64, 128, 256)
        loss = torch.stack([nt_xent(told[None, :, :width], 0.07).mean() for width in widths]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    layer.requires_grad_(False)
    return lambda x: layer((x - mean) / scale)


def ordered(train: Split, ordering: str, tokens: str, objective: str) -> Method:
    """An `OrderedEmbedder`, read at the most tokens that fit."""
    embedder = OrderedEmbedder(ordering, tokens, 6, objective=objective, steps=STEPS)
    embedder.fit(train.features, train.data.objects.numpy())

    def method(count: int) -> list[tuple[str, Reader]]:
        budget = count - 1 if ordering.startswith("prior") else count
        return [(f"{budget} tokens", lambda x: embedder.read(embedder.encode(x)[:budget]))]

    return method


def methods(splits: dict[str, Split]) -> Iterator[tuple[str, str, Callable[[], Method]]]:
    """Name, what it learns from, and how it is made."""
    train = splits["train"]
    x, mean = train.features, train.features.mean(dim=0)
    random = torch.randn(x.shape[1], 256, generator=torch.Generator().manual_seed(0))
    yield "plain truncation", "features", lambda: numbers(lambda given: given[:, :256] - mean[:256], x)
    yield "random projection", "features", lambda: numbers(lambda given: (given - mean) @ random, x)
    yield "PCA", "features", lambda: numbers(pca(x, 0.0), x)
    yield "PCA, half whitened", "features", lambda: numbers(pca(x, 0.5), x)
    yield "product quantisation", "features", lambda: product_quantisation(x, lambda given: given - mean)
    for name, label in OURS.items():
        yield f"{label}, EMA-VQ", "features", partial(ordered, train, name, "ema-vq", "reconstruct")
    recipe = partial(matryoshka, x, train.data.objects)
    yield "Matryoshka recipe", "pairs", lambda: numbers(recipe(), x)
    yield "Matryoshka recipe + product quantisation", "pairs", lambda: product_quantisation(x, recipe())
    for name, label in OURS.items():
        yield f"{label}, EMA-VQ", "pairs", partial(ordered, train, name, "ema-vq", "pairs")
    yield "MBOP-TD, FSQ", "pairs", lambda: ordered(train, "td", "fsq", "pairs")


@dataclass(frozen=True)
class Run:
    """Measure, print a table and write it as JSON."""

    out: Annotated[Path, tyro.conf.arg(help="JSON file to write.")]
    cache: Annotated[Path | None, tyro.conf.arg(help="File that keeps the features between runs.")] = None

    def run(self) -> None:
        """All methods at all sizes, and the leads of the best ordering."""
        splits = load(self.cache)
        rows, by_object = [], {}
        for name, learns, make in methods(splits):
            start = time.perf_counter()
            method = make()
            seconds = time.perf_counter() - start
            for count in BYTES:
                said, reader = max(method(count), key=lambda one: float(splits["validation"].matched(one[1]).mean()))
                found = splits["test"].matched(reader)
                row = {
                    "method": name, "learns": learns, "bytes": count, "how": said, "seconds": round(seconds, 1),
                    "validation": round(float(splits["validation"].matched(reader).mean()), 4),
                    "test": round(float(found.mean()), 4),
                }  # fmt: skip
                by_object[name, learns, count] = found
                rows.append(row)
                print(row, flush=True)
        whole = splits["test"].matched(lambda x: x - splits["train"].features.mean(dim=0))
        told = {"rows": rows, "leads": list(_leads(rows, by_object)), "whole_features": round(float(whole.mean()), 4)}
        with replacing(self.out) as temporary:
            temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _leads(rows: list[dict], by_object: dict) -> Iterator[dict]:
    """Of the ordering that is best on validation, over every peer, at each size and kind of learning."""
    ours = tuple(OURS.values())
    for learns in ("features", "pairs"):
        for count in BYTES:
            there = [row for row in rows if row["learns"] == learns and row["bytes"] == count]
            best = max((row for row in there if row["method"].startswith(ours)), key=lambda row: row["validation"])
            peers = [row for row in rows if row["bytes"] == count and not row["method"].startswith(ours)]
            for peer in peers:
                ahead = lead(by_object[best["method"], learns, count], by_object[peer["method"], peer["learns"], count])
                yield {
                    "ours": f"{best['method']} ({learns})", "peer": f"{peer['method']} ({peer['learns']})",
                    "bytes": count, "lead": round(ahead.value, 4), "low": round(ahead.low, 4),
                    "high": round(ahead.high, 4), "verdict": ahead.verdict,
                }  # fmt: skip


if __name__ == "__main__":
    tyro.cli(Run, description=__doc__).run()
