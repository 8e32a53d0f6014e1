"""Every public entry point answers what it cannot use with one sentence, and leaves what lies on disk as it was.

The rows are in the modules `rows_*.py` beside this one; a new entry point is a few rows more.
"""

import contextlib
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import case
import numpy as np
import pytest
import torch
from PIL import Image

from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder, ContrastiveModel
from prior_lab.tasks import ReconstructionExperiment
from prior_lab.zoo import save_model

ROWS = sorted(path.stem for path in Path(__file__).parent.glob("rows_*.py"))
CASES = [(f"{rows.removeprefix('rows_')}: {one.name}", one) for rows in ROWS for one in import_module(rows).CASES]
LONGEST = 600  # characters of a sentence
FEWEST = 700  # rows of the table


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[case.Ground]:
    folder = tmp_path_factory.mktemp("ground")
    chance = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(24):
        pixels = chance.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
    (folder / "text.txt").write_text("a user's own text")
    (folder / "notes").mkdir()
    (folder / "notes" / ".2024-notes.txt").write_text("a user's own notes")
    (folder / "readonly").mkdir(mode=0o500)
    torch.manual_seed(0)
    experiment = ReconstructionExperiment(
        case.shape(), data="folder", path=str(folder / "pictures"), steps=2, batch_size=2, log_every=1, validate_every=1
    )
    model = Autoencoder(case.shape()).eval()
    save_model(model, folder / "model.safetensors", config=experiment.to_json(), command="train")
    masks = torch.zeros(16, 32, 32, dtype=torch.bool)
    masks[:, 8:24, 8:24] = True
    yield case.Ground(
        folder,
        model,
        Autoencoder(case.shape(ordering="td")).eval(),
        Autoencoder(case.shape(tokens="ema-vq")).eval(),
        ContrastiveModel(case.contrastive_shape()).eval(),
        torch.from_numpy(chance.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)),
        ImageDataset(
            name="specimen",
            split="test",
            images=torch.from_numpy(chance.integers(0, 256, (16, 3, 32, 32), dtype=np.uint8)),
            objects=torch.arange(8).repeat_interleave(2),
            object_names=tuple("abcdefgh"),
            masks=masks,
            prompts=torch.tensor([[16.0, 16.0, 5.0, 5.0, 0.0]]).expand(16, -1).clone(),
            taxonomies=("kind",),
            labels=(torch.arange(16) // 4 % 2)[:, None],
            label_names=(("one", "two"),),
        ),
        experiment,
    )
    (folder / "readonly").chmod(0o700)


def contents(folder: Path) -> dict[str, bytes]:
    """All files; locks tell only that somebody was there."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if path.name != ".lock"}


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("one", [pytest.param(one, id=name) for name, one in CASES])
def test_bad_input_is_answered_by_one_sentence(
    one: case.Case, ground: case.Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ground.folder)
    before = contents(ground.folder)
    with contextlib.chdir(ground.folder), pytest.raises((InputError, SystemExit)) as refused:
        one.call(ground)
    assert contents(ground.folder) == before
    sentence = str(refused.value)
    if isinstance(refused.value, SystemExit):  # a command: the sentence is what it printed
        assert refused.value.code == 2
        sentence = capsys.readouterr().err.rstrip("\n").removeprefix("prior_lab: ")
    assert re.search(one.says, sentence), sentence
    assert "\n" not in sentence, sentence
    assert 0 < len(sentence) <= LONGEST, sentence


def test_the_table_is_long_enough_and_every_row_has_its_name() -> None:
    names = [name for name, _ in CASES]
    assert len(set(names)) == len(names)
    assert len(names) >= FEWEST
