"""Any data set in a folder that is read from disk: equal to its source, small in memory, whole or absent."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from prior_lab import InputError
from prior_lab.__main__ import main
from prior_lab.data import ImageDataset, list_datasets, load_dataset, pack_dataset
from prior_lab.data.feeding import packed
from prior_lab.data.readers.ffhq import ffhq_pieces
from prior_lab.data.readers.folder import folder_pieces
from prior_lab.data.readers.mvimgnet2 import mvimgnet2_pieces

SPLITS = ("train", "validation", "test")
IMAGE = 3 * 16 * 16  # bytes


def _assert_equal(first: ImageDataset, second: ImageDataset) -> None:
    for field in fields(ImageDataset):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype
            assert torch.equal(one, other), field.name
        else:
            assert one == other, field.name


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames with masks of each of twenty objects, which have two label levels."""
    folder = tmp_path_factory.mktemp("things")
    generator = np.random.default_rng(0)
    for number in range(20):
        (folder / f"thing-{number}").mkdir()
        for frame in range(3):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            mask = np.zeros((16, 16), dtype=bool)
            mask[frame : frame + 5, number % 8 : number % 8 + 7] = True
            Image.fromarray(pixels).save(folder / f"thing-{number}" / f"{frame}.png")
            Image.fromarray(mask).save(folder / f"thing-{number}" / f"{frame}.mask.png")
    rows = [f"thing-{number},{'even' if number % 2 == 0 else ''},{number % 3}" for number in range(20)]
    (folder / "labels.csv").write_text("\n".join(["object,coarse,fine", *rows]) + "\n")
    return folder


@pytest.fixture
def out(things: Path, tmp_path: Path) -> Path:
    """Those things packed, all splits."""
    pack_dataset("folder", tmp_path / "packed", path=things)
    return tmp_path / "packed"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [None, 8])
def test_a_folder_is_read_back_as_it_was(things: Path, tmp_path: Path, split: str, size: int | None):
    contents = pack_dataset("folder", tmp_path / "packed", path=things, size=size)
    source = load_dataset("folder", split, path=things, size=size)
    read = load_dataset("packed", split, path=str(tmp_path / "packed"), size=size)
    _assert_equal(read, source)
    assert read.masks is not None
    assert read.label_names == (("even",), ("0", "1", "2"))
    assert contents.splits[split] == len(source)


def test_household_is_read_back_as_it_was(tmp_path: Path):
    pack_dataset("household", tmp_path / "packed", splits=("validation",), size=16)
    source = load_dataset("household", "validation", size=16)
    _assert_equal(load_dataset("packed", "validation", path=tmp_path / "packed", size=16), source)


def test_images_without_labels_and_masks_are_read_back_as_they_were(pictures: Path, tmp_path: Path):
    pack_dataset("folder", tmp_path / "packed", path=pictures, splits=("all",))
    read = load_dataset("packed", "all", path=tmp_path / "packed")
    _assert_equal(read, load_dataset("folder", path=pictures))
    assert read.labels.shape == (24, 0)
    assert read.masks is read.prompts is None


def test_what_is_packed_can_be_packed(out: Path, tmp_path: Path):
    pack_dataset("packed", tmp_path / "again", path=out)
    for file in out.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_the_files_are_those_of_numpy(out: Path):
    data = load_dataset("packed", "test", path=out)
    for column in ("images", "objects", "labels", "masks", "prompts"):
        array = np.load(out / f"{column}-test.npy", allow_pickle=False)
        np.testing.assert_array_equal(array, getattr(data, column).numpy())


def test_packing_by_small_pieces_gives_the_same_files(out: Path, things: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(packed, "PIECE", 4 * IMAGE)
    pack_dataset("folder", tmp_path / "pieces", path=things)
    for file in out.iterdir():
        assert (tmp_path / "pieces" / file.name).read_bytes() == file.read_bytes()


def _ffhq(folder: Path) -> None:
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05d}.png")


def _mvimgnet2(folder: Path) -> None:
    for number in range(5):
        (folder / "7" / f"{number:08x}" / "images").mkdir(parents=True)
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / "7" / f"{number:08x}" / "images" / "001.png")


def test_readers_give_a_split_in_pieces_of_a_limited_size(things: Path, tmp_path: Path):
    for name, make in (("ffhq", _ffhq), ("mvimgnet2", _mvimgnet2)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    limit = 2 * IMAGE
    of_folder = {"size": None, "convert": None, "unreadable": "raise", "limit": limit}
    of_mvimgnet2 = {"size": 16, "frames": None, "unreadable": "raise", "limit": limit}
    pieces = {
        "folder": list(folder_pieces(things, "all", **of_folder)),
        "ffhq": list(ffhq_pieces(tmp_path / "ffhq", "all", size=None, limit=limit)),
        "mvimgnet2": list(mvimgnet2_pieces(tmp_path / "mvimgnet2", "all", **of_mvimgnet2)),
    }
    assert {name: [len(piece) for piece in read] for name, read in pieces.items()} == {
        "folder": [2] * 30,
        "ffhq": [2, 2, 1],
        "mvimgnet2": [2, 2, 1],
    }
    for name, path in (("folder", things), ("ffhq", tmp_path / "ffhq"), ("mvimgnet2", tmp_path / "mvimgnet2")):
        whole = load_dataset(name, "all", path=path, size=16)
        for column in ("images", "objects", "labels"):
            joined = torch.cat([getattr(piece, column) for piece in pieces[name]])
            assert torch.equal(joined, getattr(whole, column))


def test_skipped_images_are_told_once_though_a_whole_piece_is_unreadable(things: Path, tmp_path: Path, monkeypatch):
    shutil.copytree(things, tmp_path / "things")
    for name in ("0", "1"):
        (tmp_path / "things" / "thing-0" / f"{name}.png").write_text("hello")
    monkeypatch.setattr(packed, "PIECE", IMAGE)
    options = {"path": tmp_path / "things", "unreadable": "skip"}
    with pytest.warns(UserWarning, match="2 of 60 images of .* were skipped") as told:
        pack_dataset("folder", tmp_path / "packed", splits=("all",), **options)
    assert len(told) == 1
    with pytest.warns(UserWarning, match="2 of 60"):
        source = load_dataset("folder", **options)
    _assert_equal(load_dataset("packed", "all", path=tmp_path / "packed"), source)


def test_what_is_written_to_a_tensor_stays_in_memory(out: Path):
    before = (out / "images-test.npy").read_bytes()
    data = load_dataset("packed", "test", path=out)
    data.images[:] = 7
    data.labels[:] = 0
    assert data.images.float().mean() == 7
    assert (out / "images-test.npy").read_bytes() == before
    assert load_dataset("packed", "test", path=out).images.float().mean() != 7


@pytest.mark.parametrize("rows", [[0], [8, 0, 8, 3], [-1, 2], []])
def test_fetching_is_indexing(out: Path, rows: list[int]):
    data, chosen = load_dataset("packed", "test", path=out), torch.tensor(rows, dtype=torch.int64)
    for images in (data.images, data.images[2:], data.images[:, :, 3:7], data.masks, data.images.clone()):
        valid = chosen % len(images)
        assert torch.equal(packed.fetch(images, valid), images[valid])
    assert torch.equal(packed.fetch(data.images, chosen), data.images[chosen])


def test_fetching_what_is_not_there_is_an_error(out: Path):
    with pytest.raises(IndexError):
        packed.fetch(load_dataset("packed", "test", path=out).images, torch.tensor([9]))


def _peaks(*steps: str) -> list[float]:
    """Largest resident size of a Python process so far [MB], after each of some steps.

    It starts from a shell, because the size of the process that starts another one counts as the other's, too.
    """
    unit = 1e6 if sys.platform == "darwin" else 1e3
    told = f"print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / {unit})"
    code = "\n".join(["import resource", *(line for step in steps for line in (step, told))])
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(line) for line in printed.split()]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system cannot be asked to forget a file")
def test_reading_a_batch_takes_little_memory(tmp_path: Path):
    count = 200_000_000 // (3 * 64 * 64)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)
    data = ImageDataset(
        name="noise",
        split="train",
        images=torch.from_numpy(pixels),
        objects=torch.arange(count),
        object_names=tuple(map(str, range(count))),
        masks=None,
        prompts=None,
        taxonomies=(),
        labels=torch.zeros(count, 0, dtype=torch.int64),
        label_names=(),
    )
    packed.pack(lambda split: [data], ("train",), tmp_path / "noise")
    with (tmp_path / "noise" / "images-train.npy").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # as if written long ago
    start, batch, everything = _peaks(
        f"import torch; from prior_lab.data import load_dataset; from prior_lab.data.feeding.packed import fetch; "
        f"data = load_dataset('packed', path={str(tmp_path / 'noise')!r})",
        f"fetch(data.images, torch.arange(0, {count}, {count // 64})).sum()",
        "data.images.sum()",
    )
    assert batch - start < 30
    assert everything - start > 180


def test_packing_takes_little_memory(tmp_path: Path):
    (tmp_path / "source").mkdir()
    for number in range(60):
        Image.new("RGB", (1024, 1024), (number, 0, 0)).save(tmp_path / "source" / f"{number}.jpg")
    path = f"path={str(tmp_path / 'source')!r}"
    start, packing, loading = _peaks(
        "from prior_lab.data import pack_dataset, load_dataset; from prior_lab.data.feeding import packed;"
        "packed.PIECE = 10_000_000",
        f"pack_dataset('folder', {str(tmp_path / 'out')!r}, {path}, splits=('all',))",
        f"load_dataset('folder', {path})",
    )
    assert (tmp_path / "out" / "images-all.npy").stat().st_size > 180e6
    assert packing - start < 90
    assert loading - start > 180


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are mapped without a reservation")
def test_a_file_larger_than_memory_is_mapped(tmp_path: Path, out: Path):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    count = 4 * memory // IMAGE
    contents = json.loads((out / "packed.json").read_text())
    contents |= {"columns": ["images", "objects", "labels"], "splits": {"huge": count}, "taxonomies": []}
    (out / "packed.json").write_text(json.dumps(contents | {"label_names": []}))
    shapes = {"images": ("|u1", (count, 3, 16, 16)), "objects": ("<i8", (count,)), "labels": ("<i8", (count, 0))}
    for name, (descr, shape) in shapes.items():
        with (out / f"{name}-huge.npy").open("wb") as file:
            head = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, head)
            file.truncate(file.tell() + np.dtype(descr).itemsize * int(np.prod(shape)))
    assert load_dataset("packed", "huge", path=out).images[-1].sum() == 0


def _refused(out: Path, split: str = "test", **options: object) -> str:
    with pytest.raises(InputError) as told:
        load_dataset("packed", split, path=out, **options)
    return str(told.value)


def test_another_folder_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="packed needs path="):
        load_dataset("packed")
    assert "is no folder; expected a folder that" in _refused(tmp_path / "nothing")
    assert "has no packed.json; expected a folder that" in _refused(tmp_path)


@pytest.mark.parametrize("text", ["hello", "[]", "{}", '{"format": 1}', '{"format": 1, "label_names": 3}'])
def test_unreadable_contents_are_told(out: Path, text: str):
    (out / "packed.json").write_text(text)
    assert "packed.json cannot be read as the contents of packed data" in _refused(out)


def test_a_column_that_is_not_known_is_told(out: Path):
    contents = json.loads((out / "packed.json").read_text())
    (out / "packed.json").write_text(json.dumps(contents | {"columns": ["images", "weights"]}))
    assert "packed.json cannot be read as the contents of packed data" in _refused(out)


def test_another_format_is_told(out: Path):
    (out / "packed.json").write_text('{"format": 2}')
    assert "packed.json is of format 2; this version of prior_lab reads format 1" in _refused(out)


def test_another_split_is_told(out: Path):
    assert _refused(out, "all").endswith("has no split 'all'; packed are train, validation, test")


def test_another_size_is_told(out: Path):
    told = _refused(out, size=32)
    assert told.endswith("was packed at 16x16 pixels and cannot be read at 32x32; pack it with --size 32")


def test_a_missing_file_is_told(out: Path):
    (out / "labels-test.npy").unlink()
    assert "labels-test.npy is missing; pack the data set anew" in _refused(out)
    assert len(load_dataset("packed", "train", path=out)) > 0


@pytest.mark.parametrize("kept", [0, 5, 60])
def test_a_damaged_head_is_told(out: Path, kept: int):
    file = out / "images-test.npy"
    file.write_bytes(file.read_bytes()[:kept])
    assert "images-test.npy is no readable NumPy file" in _refused(out)


def test_a_truncated_file_is_told(out: Path):
    file = out / "images-test.npy"
    file.write_bytes(file.read_bytes()[:-1])
    assert f"images-test.npy holds {9 * IMAGE - 1:,} bytes, by its head uint8 of shape (9, 3, 16, 16)" in _refused(out)


def test_sizes_that_do_not_agree_are_told(out: Path):
    shutil.copy(out / "images-train.npy", out / "images-test.npy")
    assert "expected uint8 of shape (9, 3, 16, 16), as packed.json says" in _refused(out)


def test_another_type_is_told(out: Path):
    np.save(out / "prompts-test.npy", np.zeros((9, 5)))
    assert "by its head float64 of shape (9, 5); expected float32" in _refused(out)


def test_a_pickled_array_is_not_opened(out: Path):
    np.save(out / "objects-test.npy", np.array([print] * 9, dtype=object), allow_pickle=True)
    assert "objects-test.npy holds" in _refused(out)


def test_options_of_other_data_sets_are_told(out: Path):
    assert "packed is RGB" in _refused(out, convert="rgb")
    assert "packed is read whole" in _refused(out, unreadable="skip")


def test_nothing_that_is_there_is_overwritten(things: Path, tmp_path: Path):
    for name in ("file", "folder"):
        place = tmp_path / name
        place.write_text("mine") if name == "file" else place.mkdir()
        with pytest.raises(InputError, match=f"{name} is there already; remove it, or name another folder"):
            pack_dataset("folder", place, path=things)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("splits", [(), ("test", "test")])
def test_splits_to_pack_are_named_once(things: Path, tmp_path: Path, splits: tuple[str, ...]):
    with pytest.raises(InputError, match="cannot be packed; expected at least one, and each once"):
        pack_dataset("folder", tmp_path / "packed", path=things, splits=splits)


def test_what_a_reader_refuses_leaves_nothing(things: Path, tmp_path: Path):
    with pytest.raises(InputError, match="folder has no split 'holdout'"):
        pack_dataset("folder", tmp_path / "packed", path=things, splits=("train", "holdout"))
    with pytest.raises(InputError, match="there is no data set 'nothing'"):
        pack_dataset("nothing", tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_a_packing_that_breaks_off_leaves_nothing(things: Path, tmp_path: Path):
    def pieces(split: str) -> Iterator[ImageDataset]:
        yield load_dataset("folder", split, path=things)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed.pack(pieces, ("test",), tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told(things: Path, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"the data could not be packed into .*file/packed: "):
        pack_dataset("folder", tmp_path / "file" / "packed", path=things)


def test_a_data_set_that_changes_meanwhile_is_told(things: Path, pictures: Path, tmp_path: Path):
    parts = {
        "test": load_dataset("folder", "test", path=things),
        "train": load_dataset("folder", "train", path=pictures, size=16),
        "validation": load_dataset("folder", "validation", path=things, size=8),
    }
    with pytest.raises(InputError, match="folder changed while it was packed"):
        packed.pack(lambda split: [parts[split]], ("test", "train"), tmp_path / "packed")
    with pytest.raises(InputError, match="folder has images of different sizes, 16x16 and 8x8; pass size="):
        packed.pack(lambda split: [parts[split]], ("test", "validation"), tmp_path / "packed")


def test_from_the_command_line(things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = f"data pack folder --path {things} --size 8 --splits train test --out {tmp_path / 'packed'}"
    main(command.split())
    assert capsys.readouterr().out == f"wrote {tmp_path / 'packed'}: images of 8x8 pixels, train 42, test 9\n"
    _assert_equal(
        load_dataset("packed", path=tmp_path / "packed"), load_dataset("folder", "train", path=things, size=8)
    )
    with pytest.raises(SystemExit) as exit_:
        main(command.split())
    assert exit_.value.code == 2
    assert "is there already" in capsys.readouterr().err


def test_the_card_tells_what_is_written(root: Path, out: Path):
    card = (root / "data_cards" / "packed.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["name"] == "packed"
    assert head["format"] == packed.FORMAT
    assert head["layout"]["contents"] == packed.CONTENTS
    assert head["columns"] == {name: str(np.load(out / f"{name}-test.npy").dtype) for name in head["columns"]}
    files = {packed.CONTENTS} | {f"{name}-{split}.npy" for name in head["columns"] for split in SPLITS}
    assert files == {file.name for file in out.iterdir()}
    of_folder = (root / "data_cards" / "folder.md").read_text(encoding="utf-8")
    printed = card.split("```text\n")[1].split("```")[0]
    assert f"```text\n{printed}```" in of_folder
    for heading in re.findall(r"^## .+$", of_folder, flags=re.MULTILINE):
        assert f"\n{heading}\n" in card


def test_it_is_listed():
    assert any(line.startswith("packed: ") for line in list_datasets())
