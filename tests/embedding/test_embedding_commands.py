"""The commands `embed` and `search-index`: arrays in, codes and results out, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from command_line import refused, told

import prior_lab as pl
from prior_lab.__main__ import main
from prior_lab.embedding import open_codes

WIDTH = 12
SMALL = ["--levels", "4", "--steps", "3"]


def items(count: int, seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(50, WIDTH))
    told = centres[chance.integers(50, size=count)] + 0.4 * chance.normal(size=(count, WIDTH))
    return (told * np.linspace(2, 0.3, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features, queries, pairs and labels, and files that are none."""
    folder = tmp_path_factory.mktemp("arrays")
    features = items(2_000, 0)
    told = {
        "features": features,
        "queries": items(60, 1),
        "narrow": features[:, :5],
        "pairs": np.arange(400).reshape(200, 2),
        "labels": np.arange(2_000) // 4,
        "one": features[:1],
        "empty": features[:0],
        "far": np.full((4, WIDTH), np.nan),
        "words": np.array([["a", "b"], ["c", "d"]]),
        "many": np.array([[0, 5_000], [1, 2]]),
    }
    for name, array in told.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "objects.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    np.savez(folder / "several.npz", features=features)
    (folder / "text.npy").write_text("0.1 0.2")
    (folder / "cut.npy").write_bytes((folder / "features.npy").read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def index(arrays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Codes of the features, with the embedder beside them."""
    folder = tmp_path_factory.mktemp("index")
    main(["embed", str(arrays / "features.npy"), "--out", str(folder / "codes.safetensors"), *SMALL])
    return folder


def test_codes_are_those_of_the_embedder_that_is_written_beside_them(arrays: Path, index: Path) -> None:
    embedder = pl.OrderedEmbedder.load(index / "codes.embedder.safetensors")
    assert (embedder.levels, embedder.steps, embedder.objective) == (4, 3, "reconstruct")
    codes = open_codes(index / "codes.safetensors")
    own = embedder.encode(np.load(arrays / "features.npy")).posterior.index.numpy()
    assert (np.concatenate([level.columns for level in codes.levels], axis=1) == own).all()


def test_an_embedder_that_is_there_is_used_as_it_is(
    capsys: pytest.CaptureFixture[str], arrays: Path, index: Path, tmp_path: Path
) -> None:
    model = index / "codes.embedder.safetensors"
    before = model.read_bytes()
    arguments = ["embed", str(arrays / "queries.npy"), "--model", str(model), "--out", str(tmp_path / "c.safetensors")]
    answer = told(capsys, arguments)
    assert (answer["fitted"], answer["items"], answer["parameters"]["levels"]) == (False, 60, 4)
    assert [row["bytes in all"] for row in answer["levels"]] == [1, 3, 7, 15]
    assert answer["file_bytes"] == (tmp_path / "c.safetensors").stat().st_size
    assert model.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("groups", ["pairs", "labels"])
def test_pairs_or_labels_make_it_learn_what_belongs_together(
    capsys: pytest.CaptureFixture[str], arrays: Path, tmp_path: Path, groups: str
) -> None:
    arguments = ["embed", str(arrays / "features.npy"), f"--{groups}", str(arrays / f"{groups}.npy")]
    answer = told(capsys, [*arguments, "--out", str(tmp_path / "c.safetensors"), *SMALL])
    assert answer["fitted"]
    assert answer["parameters"]["objective"] == "pairs"


def test_what_is_found_is_what_the_library_finds_and_recall_is_told_stage_by_stage(
    capsys: pytest.CaptureFixture[str], arrays: Path, index: Path, tmp_path: Path
) -> None:
    codes, model = index / "codes.safetensors", index / "codes.embedder.safetensors"
    arguments = ["search-index", str(codes), str(arrays / "queries.npy"), "--model", str(model)]
    answer = told(capsys, [*arguments, "--out", str(tmp_path / "r.npz"), "--recall", "0.95", "-k", "5"])
    asked = pl.OrderedEmbedder.load(model).transform(np.load(arrays / "queries.npy"))
    funnel = pl.Funnel(open_codes(codes))
    with np.load(tmp_path / "r.npz", allow_pickle=False) as result:
        found = funnel.choose(asked[::2], 0.95, 5).search(asked, 5)
        assert (result["items"] == found.items.numpy()).all()
        assert (result["stage_level"] == [stage.level for stage in found.stages]).all()
    recalls = [stage["recall"] for stage in answer["stages"]]
    assert len(recalls) > 1
    assert recalls == sorted(recalls, reverse=True)  # what a stage lost does not come back
    assert recalls[-1] == answer["recall"] > 0.85
    rest = funnel.choose(asked[::2], 0.95, 5).search(asked[1::2], 5)
    assert answer["recall"] == pytest.approx(rest.recall(funnel.scan(asked[1::2], 5).items))
    assert answer["measured_on"] == 30
    assert answer["bytes"] < answer["full_bytes"] == 2_000 * 16


def test_queries_may_be_what_search_compares(
    capsys: pytest.CaptureFixture[str], arrays: Path, index: Path, tmp_path: Path
) -> None:
    embedder = pl.OrderedEmbedder.load(index / "codes.embedder.safetensors")
    np.save(tmp_path / "asked.npy", embedder.transform(np.load(arrays / "queries.npy")))
    arguments = ["search-index", str(index / "codes.safetensors"), str(tmp_path / "asked.npy")]
    main([*arguments, "--out", str(tmp_path / "r.npz")])
    assert "of the bytes of a full scan; recall of 30 queries that chose no stage" in capsys.readouterr().out


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str], arrays: Path, index: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in index.iterdir()}
    result = tmp_path / "r.npz"
    result.write_text("mine")
    features, codes = str(arrays / "features.npy"), str(index / "codes.safetensors")
    other = tmp_path / "other.safetensors"
    other.with_name("other.embedder.safetensors").write_text("mine")
    for arguments in (
        ["embed", features, "--out", codes],
        ["embed", features, "--out", str(other)],  # its embedder would be written over
        ["search-index", codes, features, "--out", str(result)],
    ):
        assert "is there already; nothing was written over it" in refused(capsys, arguments)
    assert {path: path.read_bytes() for path in index.iterdir()} == before
    assert result.read_text() == "mine"
    assert not other.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("embed {a}/none.npy --out {out}/c.safetensors", "There is no NumPy file of features"),
        ("embed {a} --out {out}/c.safetensors", "cannot be read"),
        ("embed {a}/objects.npy --out {out}/c.safetensors", "holds no array of numbers"),
        ("embed {a}/text.npy --out {out}/c.safetensors", "holds no array of numbers"),
        ("embed {a}/cut.npy --out {out}/c.safetensors", "is damaged"),
        ("embed {a}/several.npz --out {out}/c.safetensors", "several ones"),
        ("embed {a}/words.npy --out {out}/c.safetensors", "is not an array of numbers"),
        ("embed {a}/empty.npy --out {out}/c.safetensors", "0 item(s)"),
        ("embed {a}/one.npy --out {out}/c.safetensors", "one item is too few"),
        ("embed {a}/far.npy --out {out}/c.safetensors", "holds NaN"),
        ("embed {a}/features.npy --out {out}/c.npy", "does not end in .safetensors"),
        ("embed {a}/features.npy --out {out}/c.safetensors --levels 11", "levels is 11"),
        ("embed {a}/features.npy --out {out}/c.safetensors --width 40", "width is 40"),
        ("embed {a}/features.npy --out {out}/c.safetensors --objective pairs", "needs --pairs or --labels"),
        ("embed {a}/features.npy --out {out}/c.safetensors --pairs {a}/many.npy", "pairs name the item 5000"),
        ("embed {a}/features.npy --out {out}/c.safetensors --labels {a}/one.npy", "y has the shape"),
        (
            "embed {a}/features.npy --out {out}/c.safetensors --labels {a}/labels.npy --pairs {a}/pairs.npy",
            "Give pairs or labels, not both.",
        ),
        (
            "embed {a}/features.npy --out {out}/c.safetensors --labels {a}/labels.npy --objective neighbours",
            "reads neither pairs nor labels",
        ),
        ("embed {a}/features.npy --out {out}/c.safetensors --model {i}/codes.safetensors", "is no embedder"),
        (
            "embed {a}/features.npy --out {out}/c.safetensors --model {out}/c.safetensors",
            "cannot hold both the codes and the embedder",
        ),
        (
            "embed {a}/features.npy --out {out}/c.safetensors --model {i}/codes.embedder.safetensors --levels 3",
            "leave out --levels",
        ),
        (
            "embed {a}/narrow.npy --out {out}/c.safetensors --model {i}/codes.embedder.safetensors",
            "X has 5 features",
        ),
        ("search-index {i}/none.safetensors {a}/queries.npy --out {out}/r.npz", "There is no file of codes"),
        ("search-index {i}/codes.embedder.safetensors {a}/queries.npy --out {out}/r.npz", "holds no codes"),
        ("search-index {i}/codes.safetensors {a}/narrow.npy --out {out}/r.npz", "queries have the shape"),
        ("search-index {i}/codes.safetensors {a}/one.npy --out {out}/r.npz", "at least 2 are needed"),
        ("search-index {i}/codes.safetensors {a}/queries.npy --out {out}/r.npz -k 3000", "k is 3000"),
        ("search-index {i}/codes.safetensors {a}/queries.npy --out {out}/r.npz -k 0", "k is 0"),
        ("search-index {i}/codes.safetensors {a}/queries.npy --out {out}/r.npz --recall 1.5", "recall is 1.5"),
        ("search-index {i}/codes.safetensors {a}/queries.npy --out {out}/r.json", "does not end in .npz"),
    ],
)
def test_wrong_input_gives_one_sentence(
    no_shape_checks: None,
    capsys: pytest.CaptureFixture[str],
    arrays: Path,
    index: Path,
    tmp_path: Path,
    arguments: str,
    sentence: str,
) -> None:
    places = {"a": arrays, "i": index, "out": tmp_path / "out"}
    said = refused(capsys, [word.format(**places) for word in arguments.split()])
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_codes_of_another_embedder_are_refused(
    capsys: pytest.CaptureFixture[str], arrays: Path, index: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    main(["embed", str(arrays / "features.npy"), "--out", str(other), *SMALL, "--ordering", "matryoshka"])
    arguments = ["search-index", str(other), str(arrays / "queries.npy"), "--out", str(tmp_path / "r.npz")]
    said = refused(capsys, [*arguments, "--model", str(index / "codes.embedder.safetensors")])
    assert "was not written with the embedder" in said
    assert not (tmp_path / "r.npz").exists()
