"""`embed` and `search-index`: arrays of features as ordered codes on disk, and a funnel that searches them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from prior_lab.checks import Above, Count, Seed, Within, check_fields
from prior_lab.commands.answers import Answer, Answering, table
from prior_lab.errors import InputError
from prior_lab.files import as_path, require_file, require_writable, writing

if TYPE_CHECKING:
    from prior_lab.embedding import CodeStore, Funnel, OrderedEmbedder

CODES, RESULT = ".safetensors", ".npz"
ASKED = 200  # queries that choose the stages, and as many others that measure the recall, at most
FITTING = ("labels", "pairs", "ordering", "tokens", "levels", "objective", "width", "steps", "seed", "device")


@dataclass(frozen=True, kw_only=True)
class Embed(Answering):
    """Fit an ordered bottleneck to features, or load one, and write their codes for `search-index`.

    An embedder that is there already is used as it is; none of the flags of fitting goes with it.
    """

    features: tyro.conf.Positional[Path]
    """NumPy file of features, [item, feature] or [item, place, feature]."""
    out: Path
    """File of codes to write, CODES.safetensors; it is never written over."""
    model: Path | None = None
    """Embedder: loaded if it is there, else fitted and written. If not given, a new one is written beside OUT, with the
    ending .embedder.safetensors."""
    pairs: Path | None = None
    """NumPy file of items that belong together, [pair, 2]."""
    labels: Path | None = None
    """NumPy file of a label for each item, in place of pairs: items of one label belong together."""
    objective: Literal["reconstruct", "pairs", "neighbours"] | None = None
    """What prefixes are to keep; pairs where pairs or labels are given, else reconstruct."""
    ordering: Literal["prior", "td", "itd", "matryoshka", "unordered", "prior-without-prediction"] | None = None
    """The ordering; td, if not given."""
    tokens: Literal["gaussian", "categorical", "ema-vq", "fsq"] | None = None
    """The kind of its tokens; ema-vq, if not given."""
    levels: Annotated[int, Within(1, 10)] | None = None
    """Levels L of the code, of 2^L - 1 tokens; 7, if not given."""
    width: Count | None = None
    """Numbers of what search compares."""
    steps: Annotated[int, Within(0)] | None = None
    """Steps of training; 300, if not given. With 0 it stays at its start."""
    seed: Seed | None = None
    """Of the weights and the batches; 0, if not given."""
    device: Literal["auto", "cpu", "cuda", "mps"] | None = None
    """What to train on; cpu, if not given."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.pairs is not None and self.labels is not None:
            raise InputError("Give pairs or labels, not both.")
        grouped = self.pairs is not None or self.labels is not None
        if grouped and self.objective not in (None, "pairs"):
            raise InputError(f"The objective {self.objective} reads neither pairs nor labels.")
        if self.objective == "pairs" and not grouped:
            raise InputError("The objective pairs needs --pairs or --labels.")

    def answer(self, command: str) -> Answer:
        """Fit or load, encode, write, and tell sizes."""
        from prior_lab.embedding import write_codes

        _require_new(self.out, CODES)
        model = self.out.with_name(f"{self.out.name.removesuffix(CODES)}.embedder{CODES}")
        if self.model is None or not as_path(self.model, "an embedder").exists():
            model = model if self.model is None else self.model
            _require_new(model, CODES)
            if model.absolute() == self.out.absolute():
                raise InputError(f"{str(model)!r} cannot hold both the codes and the embedder; name another file.")
            features = _array(self.features, "features")
            embedder, fitted = self._fitted(features), True
            embedder.save(model)
        else:
            model, fitted = self.model, False
            embedder = self._loaded(model)
            features = _array(self.features, "features")
        codes = write_codes(embedder, features, self.out)
        rows = _sizes(codes)
        done = "fitted" if fitted else "loaded"
        text = "\n".join(
            [
                f"{embedder.made_by_}, {done}: {model}",
                f"{len(codes):,} items: {self.out}, {self.out.stat().st_size:,} bytes",
                table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]),
            ]
        )
        values = {
            "out": str(self.out), "model": str(model), "fitted": fitted, "made_by": embedder.made_by_,
            "parameters": embedder.get_params(), "items": len(codes), "levels": rows,
            "file_bytes": self.out.stat().st_size,
        }  # fmt: skip
        return Answer(values, text)

    def _fitted(self, features: np.ndarray) -> "OrderedEmbedder":
        from prior_lab.embedding import OrderedEmbedder

        grouped = self.pairs is not None or self.labels is not None
        names = ("ordering", "tokens", "levels", "objective", "width", "steps", "seed", "device")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        embedder = OrderedEmbedder(**({"objective": "pairs" if grouped else "reconstruct"} | given))
        labels = None if self.labels is None else _array(self.labels, "labels")
        return embedder.fit(features, labels, None if self.pairs is None else _array(self.pairs, "pairs"))

    def _loaded(self, model: Path) -> "OrderedEmbedder":
        from prior_lab.embedding import OrderedEmbedder

        given = [f"--{name}" for name in FITTING if getattr(self, name) is not None]
        if given:
            raise InputError(
                f"{str(model)!r} is there already and is used as it is: leave out {', '.join(given)}, or name another "
                "file to write."
            )
        return OrderedEmbedder.load(model)


@dataclass(frozen=True, kw_only=True)
class SearchIndex(Answering):
    """Search codes that `embed` wrote, level by level, for the best items of each query.

    Of up to 400 queries, evenly spread, every other one chooses how many items each stage keeps, and those between tell
    the recall against a scan of the whole codes; then all are answered.
    """

    codes: tyro.conf.Positional[Path]
    """File of codes."""
    queries: tyro.conf.Positional[Path]
    """NumPy file of queries: features with --model, else what search compares, as `OrderedEmbedder.transform` gives."""
    out: Path
    """File to write, RESULT.npz, which must be new: `items` and `scores` [query, place], and `stage_...` [stage]."""
    model: Path | None = None
    """Embedder that makes of features what search compares, the one that wrote the codes."""
    recall: Annotated[float, Above(0), Within(0, 1)] = 0.99
    """Share of the items of a full scan that the stages are chosen to find."""
    k: Annotated[Count, tyro.conf.arg(aliases=("-k",))] = 10
    """How many items to find for each query."""

    def __post_init__(self) -> None:
        check_fields(self)

    def answer(self, command: str) -> Answer:
        """Choose stages, measure, search, write."""
        from prior_lab.embedding import Funnel, OrderedEmbedder, open_codes

        _require_new(self.out, RESULT)
        codes = open_codes(self.codes)
        queries: np.ndarray = _array(self.queries, "queries")
        if self.model is not None:
            embedder = OrderedEmbedder.load(self.model)
            _require_own(codes, embedder, self.codes, self.model, queries)
            queries = embedder.transform(queries)
        if len(queries) < 2:
            raise InputError(f"{str(self.queries)!r} holds {len(queries)} queries; at least 2 are needed.")
        asked = queries[np.unique(np.linspace(0, len(queries) - 1, min(len(queries), 2 * ASKED)).astype(int))]
        funnel = Funnel(codes).choose(asked[::2], self.recall, self.k)
        recalls = _recalls(funnel, asked[1::2], self.k)
        found = funnel.search(queries, self.k)
        rows: list[dict[str, Any]] = [
            {
                "stage": number, "level": report.level, "items": report.items, "keep": stage.keep, "recall": recall,
                "bytes": report.nbytes, "seconds": report.seconds,
            }
            for number, (stage, report, recall) in enumerate(zip(funnel.schedule, found.stages, recalls, strict=True))
        ]  # fmt: skip
        with writing(self.out) as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = {"items": found.items.numpy(), "scores": found.scores.numpy()}
            arrays |= {f"stage_{name}": np.array([row[name] for row in rows]) for name in rows[0] if name != "stage"}
            np.savez(file, **arrays)
        total = {"bytes": found.nbytes, "full_bytes": found.full_nbytes, "seconds": found.seconds}
        cells = [
            [
                str(row["stage"]), str(row["level"]), f"{row['items']:,.0f}", f"{row['keep']:,}",
                f"{row['recall']:.4f}", f"{row['bytes']:,.0f}", f"{1e3 * row['seconds']:.2f}",
            ]
            for row in rows
        ]  # fmt: skip
        head = ["stage", "level", "items", "keep", f"recall at {self.k}", "bytes", "ms"]
        share = found.nbytes / found.full_nbytes
        text = "\n".join(
            [
                f"{len(queries):,} queries of {len(codes):,} items; items, bytes and time are per query",
                table(head, cells),
                f"{share:.1%} of the bytes of a full scan; recall of {len(asked[1::2])} queries that chose no stage",
            ]
        )
        values = {
            "out": str(self.out), "queries": len(queries), "items": len(codes), "k": self.k, "wanted": self.recall,
            "recall": recalls[-1], "measured_on": len(asked[1::2]), "stages": rows, **total,
        }  # fmt: skip
        return Answer(values, text)


def _recalls(funnel: "Funnel", queries: np.ndarray, k: int) -> list[float]:
    """The share of a full scan's best that is still there after each stage."""
    from prior_lab.embedding import Funnel, Stage

    best = funnel.scan(queries, k).items
    last = len(funnel.codes.levels) - 1
    # What a stage left is ordered by the whole codes: those of the best that it left are then among the best k.
    parts = [[*funnel.schedule[:count], Stage(last, k)] for count in range(1, len(funnel.schedule))]
    return [Funnel(funnel.codes, part).search(queries, k).recall(best) for part in [*parts, funnel.schedule]]


def _require_own(codes: "CodeStore", embedder: "OrderedEmbedder", path: Path, model: Path, queries: np.ndarray) -> None:
    """Refuse codes of another embedder: they would be searched without a word, and nothing would be found."""
    own = type(codes).of_code(embedder, embedder.encode(queries[:1]))
    if own.bias.shape != codes.bias.shape or not bool((own.bias == codes.bias).all()):
        raise InputError(f"{str(path)!r} was not written with the embedder {str(model)!r}.")


def _sizes(codes: "CodeStore") -> list[dict[str, int]]:
    """Tokens and bytes of an item, level by level and in all."""
    from prior_lab.levels import Levels

    rows, total = [], 0
    for level, (place, one) in enumerate(zip(Levels(len(codes.levels)).slices, codes.levels, strict=True)):
        total += one.nbytes
        rows.append({"level": level, "tokens": place.stop, "bytes": one.nbytes, "bytes in all": total})
    return rows


def _require_new(path: Path, ending: str) -> None:
    require_writable(path, ending)
    if path.exists():
        raise InputError(f"{str(path)!r} is there already; nothing was written over it. Name another file.")


def _array(path: Path, noun: str) -> np.ndarray:
    """An array of a NumPy file, mapped into memory."""
    given = require_file(path, f"NumPy file of {noun}")
    sentence = f"The NumPy file of {noun} {str(path)!r} holds no array of numbers"
    try:
        array = np.load(given, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # whatever NumPy makes of a header that says anything at all
        told = (str(error) or type(error).__name__).partition("\n")[0][:120].rstrip(".")
        raise InputError(f"{sentence}, or is damaged ({told}).") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{sentence}, but several ones; save the one that is meant with numpy.save.")
    return array
