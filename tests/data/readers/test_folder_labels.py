from collections.abc import Callable
from pathlib import Path

import pytest

from prior_lab import InputError
from prior_lab.data import ImageDataset, load_dataset


@pytest.fixture
def load(save_image: Callable[..., Path], tmp_path: Path) -> Callable[..., ImageDataset]:
    """Loads two frames of each of three objects with the labels given."""
    for name in ("chair", "mug", "table"):
        for frame in (1, 2):
            save_image(f"{name}/{frame}.png")

    def load(table: str | bytes, split: str = "all") -> ImageDataset:
        (tmp_path / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
        return load_dataset("folder", split, path=tmp_path)

    return load


def test_every_column_is_a_label_level(load):
    data = load("object,coarse,fine\ntable,furniture,desk\nmug,ware,cup\nchair,furniture,stool\n")
    assert data.taxonomies == ("coarse", "fine")
    assert data.label_names == (("furniture", "ware"), ("cup", "desk", "stool"))
    assert data.labels.tolist() == [[0, 2], [0, 2], [1, 0], [1, 0], [0, 1], [0, 1]]
    assert str(data).endswith("label levels: coarse (2 labels), fine (3 labels)")


def test_an_empty_cell_and_an_object_without_a_row_have_no_label(load):
    data = load("object,coarse,fine\nchair,furniture,\nmug,,cup\n")
    assert data.labels[::2].tolist() == [[0, -1], [-1, 0], [-1, -1]]


def test_labels_are_those_of_the_whole_folder_in_every_split(load):
    table = "object,class\nchair,a\nmug,b\ntable,c\n"
    train = load(table, "train")
    assert len(train.objects.unique()) == 2
    assert train.label_names == load(table).label_names == (("a", "b", "c"),)
    assert train.labels[:, 0].tolist() == train.objects.tolist()


def test_an_object_of_a_flat_folder_is_the_name_of_the_file(save_image, tmp_path: Path):
    save_image("a.png")
    save_image("b.jpg")
    (tmp_path / "labels.csv").write_text("object,kind\nb.jpg,cat\na.png,dog\n")
    data = load_dataset("folder", path=tmp_path)
    assert [data.label_names[0][label] for label in data.labels[:, 0]] == ["dog", "cat"]


def test_tables_as_spreadsheets_save_them(load):
    table = '\ufeffobject,class\r\n"chair","big, wooden"\r\n mug , cup\r\n\r\n,\r\n'
    assert load(table).label_names == (("big, wooden", "cup"),)


def test_a_level_may_be_called_object(load):
    assert load("object,object\nchair,seat\n").taxonomies == ("object",)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("", r"labels\.csv is empty; expected the header object,LEVEL1,LEVEL2,\.\.\."),
        ("object,class\n", "has no label in the column class; fill it or leave it out"),
        ("name,class\nchair,seat\n", "has no first column object but 'name'; expected the header object,LEVEL1"),
        ("class,object\nseat,chair\n", "has no first column object but 'class'"),
        ("object;class\nchair;seat\n", "has no first column object but 'object;class'"),
        ("object\nchair\n", "has no label level; expected the header object,LEVEL1"),
        ("object,a,a\nchair,x,y\n", "has the levels 'a', 'a'; expected a name of its own for each"),
        ("object,a,\nchair,x,y\n", "has the levels 'a', ''; expected a name of its own for each"),
        ("object,a,b\nchair,x,y\n\nmug,x\n", "line 4, has 2 cells; expected 3, as in the header"),
        ("object,a\nchair,x,y\n", "line 2, has 3 cells; expected 2"),
        ("object,a\n,x\n", "line 2, has nothing in the column object; expected a name"),
        ("object,a\nchair,x\nchair,y\n", "line 3, names chair once more; expected one row each"),
        ("object,a,b\nchair,x,\n", "has no label in the column b"),
        (
            "object,a\nsofa,x\nmug,x\nlamp,x\nbed,x\nrug,x\n",
            r"has 4 unknown objects \(bed, lamp, rug, \.\.\.\); expected names of the 3 objects there are "
            r"\(chair, mug, table\)",
        ),
        (b"object,a\nchair,caf\xe9\n", "is not in UTF-8"),
        ("object,a\nchair,x\n".encode("utf-16"), "is not in UTF-8"),
        ('object,a\nchair,"x\n', r"labels\.csv is no readable table: unexpected end of data"),
    ],
)
def test_a_wrong_table_is_told(load, table: str | bytes, told: str):
    with pytest.raises(InputError, match=told) as error:
        load(table)
    assert "\n" not in str(error.value)


def test_a_folder_called_labels_is_told(save_image, tmp_path: Path):
    save_image("a.png")
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(InputError, match=r"labels\.csv is no readable table"):
        load_dataset("folder", path=tmp_path)
