"""What commands answer, to people and to programs: the numbers are the library's own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

import prior_lab as pl
from prior_lab.__main__ import main, parse
from prior_lab.commands import lab
from prior_lab.commands.training import Study
from prior_lab.effective_information import Information, encode_images
from prior_lab.tasks import ContrastiveExperiment, ReconstructionExperiment
from prior_lab.training.study import ContrastiveMeasurement, read_run
from prior_lab.zoo import load_autoencoder, load_contrastive

PRIOR = "household/reconstruction/prior-gaussian"
OBJECTS = "household/contrastive/td-gaussian"
SHAPE = "--levels 2 --width 32 --encoder-depth 1 --predictor-depth 1 --precision 32-true"


@pytest.fixture(scope="module")
def household() -> pl.ImageDataset:
    """Twelve test images, evenly spread."""
    data = pl.load_dataset("household", "test")
    return data.select(torch.linspace(0, len(data) - 1, 12).long())


@pytest.fixture(scope="module")
def contrastive_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "prior"
    flags = "--task contrastive --sides 4 8 --patches 8 --steps 2 --batch-size 4 --validation-images 32"
    main(f"train {SHAPE} {flags} --out {folder}".split())
    return folder


def answered(capsys: pytest.CaptureFixture[str], arguments: str) -> dict:
    """The one JSON object that a command prints."""
    capsys.readouterr()
    main([*arguments.split(), "--json"])
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_quality_is_that_of_the_library(capsys: pytest.CaptureFixture[str], household: pl.ImageDataset) -> None:
    told = answered(capsys, f"quality {PRIOR} --images 12")
    expected = pl.quality.quality_by_budget(load_autoencoder(PRIOR), household.images).mean("image")
    assert (told["data"], told["split"], told["images"], told["objects"]) == ("household", "test", 12, 12)
    assert told["budgets"] == [1, 3, 7, 15, 31, 63, 127]
    assert list(told["metrics"]) == ["L1", "L2", "PSNR", "SSIM"]
    for name, metric in told["metrics"].items():
        np.testing.assert_allclose(metric["mean"], expected.sel(metric=name), rtol=1e-5)
        assert np.all(np.diff([metric["low"], metric["mean"], metric["high"]], axis=0) >= 0)
    main(f"quality {PRIOR} --images 12".split())
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["budget", "L1", "L2", "PSNR", "SSIM"]
    assert lines[-1].split()[0] == "127"
    assert float(lines[-1].split()[-1]) == pytest.approx(told["metrics"]["SSIM"]["mean"][-1], abs=1e-4)


def test_other_data_are_measured_on_request(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    told = answered(capsys, f"quality {PRIOR} --data folder --path {pictures} --split all")
    assert (told["data"], told["split"], told["images"], told["objects"]) == ("folder", "all", 24, 12)


@pytest.mark.parametrize(("unit", "per_nat"), [("nat", 1.0), ("bit", 1 / np.log(2)), ("byte", 0.125 / np.log(2))])
def test_information_is_that_of_the_library(
    capsys: pytest.CaptureFixture[str], household: pl.ImageDataset, unit: str, per_nat: float
) -> None:
    told = answered(capsys, f"information {PRIOR} --images 12 --unit {unit}")
    measured = Information(encode_images(pl.load_model(PRIOR), household).posterior, household.objects)
    assert told["unit"] == unit
    for level, tokens in ((0, slice(0, 1)), (2, slice(3, 7)), (6, slice(63, 127))):
        expected = measured.total(tokens, "nat")
        assert told["levels"][level]["information"] == pytest.approx(per_nat * expected.value)
        assert told["levels"][level]["standard_error"] == pytest.approx(per_nat * expected.standard_error)
    sums = np.cumsum([level["information"] for level in told["levels"]])
    np.testing.assert_allclose([budget["information"] for budget in told["budgets"]], sums)


@pytest.mark.slow
def test_probes_of_a_run_are_those_of_a_study(capsys: pytest.CaptureFixture[str], contrastive_run: Path) -> None:
    told = answered(capsys, f"probe {contrastive_run} --images 30")
    run = read_run(contrastive_run)
    measurement = ContrastiveMeasurement(run.experiment, images=30)
    probed = measurement.probe(load_contrastive(run.model_file))
    assert told["budgets"] == [1, 3]
    assert (told["images"], told["training_images"]) == (30, 30)
    assert list(told["taxonomies"]) == ["coarse", "mid", "fine", "class"]
    for name, scores in told["taxonomies"].items():
        assert scores["majority"] == pytest.approx(float(probed.linear.majority.sel(taxonomy=name)))
        for reader, table in (("linear", probed.linear), ("neighbours", probed.neighbours)):
            np.testing.assert_allclose(scores[reader]["mean"], table.accuracy.sel(taxonomy=name), atol=1e-6)
            np.testing.assert_allclose(scores[reader]["low"], table.interval.sel(taxonomy=name, bound="low"), atol=1e-6)


def test_a_study_is_planned_run_and_measured(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path
) -> None:
    flags = f"{SHAPE} --data folder --path {pictures} --image-size 32 --patch 8 --decoder-width 32 --decoder-depth 1"
    plan = f"study {tmp_path} --orderings prior td --seeds 0 1 --name discs {flags} --steps 2 --batch-size 4"
    for workers in (2, 1):
        told = answered(capsys, f"{plan} --workers {workers}")
        study = pl.load_study(tmp_path / "discs.nc")
        assert told["file"] == str(tmp_path / "discs.nc")
        assert list(told["arms"]) == list(study.children) == ["prior-gaussian", "td-gaussian"]
        prior = told["arms"]["prior-gaussian"]
        assert (prior["seeds"], prior["budgets"]) == ([0, 1], [1, 3])
        expected = study["prior-gaussian"].quality.sel(metric="SSIM").mean("seed")
        np.testing.assert_allclose(prior["quality"]["SSIM"], expected)


def test_a_study_has_a_run_for_every_ordering_kind_of_token_and_seed() -> None:
    arms = ["--orderings", "prior", "td", "--tokens", "gaussian", "ema-vq", "--seeds", "0", "5"]
    study = parse(["study", "x", *arms, "--steps", "7", "--width", "32"])
    assert isinstance(study, Study)
    experiments = study.experiments()
    assert {type(experiment) for experiment in experiments} == {ReconstructionExperiment}
    assert {(experiment.steps, experiment.model.width) for experiment in experiments} == {(7, 32)}
    told = [(run.model.ordering, run.model.tokens, run.seed) for run in experiments]
    assert told == [(o, t, s) for o in ("prior", "td") for t in ("gaussian", "ema-vq") for s in (0, 5)]
    objects = parse(["study", "x", "--task", "contrastive", "--preset", "paper"])
    assert isinstance(objects, Study)
    assert {type(experiment) for experiment in objects.experiments()} == {ContrastiveExperiment}
    assert {experiment.model.image_size for experiment in objects.experiments()} == {224}


def test_a_joint_search_is_one_for_all_orderings_and_goes_on(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path
) -> None:
    flags = "--image-size 32 --patch 8 --decoder-width 32 --decoder-depth 1 --batch-size 4 --steps 4 --device cpu"
    shape = SHAPE.replace("--ordering prior", "").replace("--tokens gaussian", "")
    search = f"search {shape} {flags} --data folder --path {pictures} --horizon 2 --anchors 1"
    told = answered(capsys, f"{search} --ordering itd,td --joint --evaluations 2 --out {tmp_path / 'joint'}")
    (one,) = told["searches"]
    assert one["arms"] == ["itd-gaussian", "td-gaussian"]
    assert [(trial["stage"], trial["steps"]) for trial in one["trials"]] == [("broad", 2), ("broad", 2), ("anchor", 4)]
    assert set(one["best"]) == {"learning_rate", "rate_weight", "model.free_nats"}
    more = answered(capsys, f"{search} --ordering itd,td --joint --evaluations 3 --out {tmp_path / 'joint'}")
    assert [trial["stage"] for trial in more["searches"][0]["trials"]] == ["broad", "broad", "anchor", "refined"]
    assert more["searches"][0]["trials"][:3] == one["trials"]
    space = "--space rate-weight=1e-6:1e-3 --strategy random --evaluations 1"
    apart = answered(capsys, f"{search} --ordering itd,prior {space} --out {tmp_path / 'apart'}")
    assert [found["arms"] for found in apart["searches"]] == [["itd-gaussian"], ["prior-gaussian"]]
    assert {path.name for path in (tmp_path / "apart").iterdir()} == {
        "folder-reconstruction-itd-gaussian", "folder-reconstruction-prior-gaussian"
    }  # fmt: skip


def test_measure_tells_programs_what_it_measured(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path
) -> None:
    flags = "--image-size 32 --patch 8 --decoder-width 32 --decoder-depth 1 --steps 2 --batch-size 4"
    main(f"train {SHAPE} {flags} --data folder --path {pictures} --out {tmp_path / 'run'}".split())
    told = answered(capsys, f"measure {tmp_path / 'run'} --out {tmp_path / 'discs.nc'} --name discs")
    arm = pl.load_study(tmp_path / "discs.nc")["prior-gaussian"]
    assert (told["name"], told["task"], told["data"]) == ("discs", "reconstruction", "folder")
    np.testing.assert_allclose(told["arms"]["prior-gaussian"]["quality"]["L1"], arm.quality.sel(metric="L1", seed=0))


def test_the_papers_tables_are_those_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    told = answered(capsys, "paper")["tables"]
    assert list(told) == ["2", "3", "4", "5"]
    for number, expected in (("3", pl.paper.table3()), ("4", pl.paper.table4())):
        assert told[number]["coords"] == {dim: expected[dim].values.tolist() for dim in expected.dims}
        np.testing.assert_array_equal(np.array(told[number]["values"], dtype=float), expected.values)
    main(["paper", "5"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["budget", "1", "15", "31", "127"]
    assert lines[2].split() == ["SSIM,", "PRIOR", "0.537", "0.6777", "0.7232", "0.7639"]


def test_data_sets_are_listed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    told = answered(capsys, "data list")["datasets"]
    assert [f"{name}: {text}" for name, text in told.items()] == list(pl.list_datasets())


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("quality nothing/here", "There is no bundled model 'nothing/here'; the nearest are "),
        ("quality nothing.safetensors", "There is no model file 'nothing.safetensors'"),
        (f"quality {OBJECTS}", "is contrastive: it encodes objects but has no decoder"),
        (f"probe {PRIOR}", "is an autoencoder; a contrastive model was expected"),
        (f"quality {PRIOR} --split holdout", "household has no split 'holdout'; there are train, validation, test"),
        (f"information {PRIOR} --images 0", "images is 0; it must be at least 1"),
        (f"information {PRIOR} --data nothing", "there is no data set 'nothing'; available are household"),
        ("quality .", ". holds no finished run"),
        ("explore labels.csv.nc", "'labels.csv.nc' is not a whole NetCDF file of results"),
        ("explore nothing", "There is no bundled study 'nothing'; the nearest are "),
        ("study x --workers 0", "workers is 0; it must be at least 1"),
        ("paper 7", "invalid choice"),
    ],
)
def test_wrong_input_ends_with_one_sentence(
    arguments: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv.nc").write_text("object,label\n")
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert sentence in " ".join(err.replace("│", " ").split())
    assert out == ""


def test_the_list_of_commands_is_quick() -> None:
    code = "import sys, prior_lab.__main__ as cli\ntry: cli.main(['--help'])\nfinally: print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "False"
    for command in (
        "train",
        "study",
        "search",
        "measure",
        "quality",
        "information",
        "probe",
        "embed",
        "search-index",
        "explore",
        "data",
        "paper",
        "bench",
    ):
        assert f"• {command} " in said


def test_without_the_lab_extra_explore_tells_what_to_install() -> None:
    code = "import sys; sys.modules['jupyterlab'] = None\nfrom prior_lab.__main__ import main\nmain(['explore'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr == "prior_lab: explore needs jupyterlab: pip install 'prior-lab[lab]' brings it.\n"


@pytest.mark.parametrize(
    ("name", "call"), [("faces-reconstruction", "pl.explore("), ("household-contrastive", "pl.explore_probes(")]
)
def test_the_notebook_of_a_study_never_replaces_another(name: str, call: str, tmp_path: Path) -> None:
    first, second = (lab.write_notebook(name, tmp_path) for _ in range(2))
    assert (first.name, second.name) == (f"explore-{name}.ipynb", f"explore-{name}-2.ipynb")
    for path in (first, second):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
        assert call in notebook.cells[1].source


@pytest.mark.slow
def test_the_notebook_of_a_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = nbformat.read(lab.write_notebook("household-reconstruction", tmp_path), as_version=4).cells[1].source
    *lines, last = cell.splitlines()
    known: dict[str, object] = {}
    exec("\n".join(lines), known)
    assert "household-reconstruction" in eval(last, known).summary()


@pytest.mark.slow
def test_explore_opens_jupyterlab_on_this_machine_only(root: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "jupyter_server_config.json").write_text('{"ServerApp": {"allow_root": true, "port_retries": 0}}')
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTER_TOKEN": "of-this-test",
        "PYTHONPATH": str(root),
    }
    command = [
        sys.executable,
        "-m",
        "prior_lab",
        "explore",
        "faces-reconstruction",
        "--no-browser",
        "--port",
        str(port),
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        path = "lab/tree/explore-faces-reconstruction.ipynb?token=of-this-test"
        assert _status(f"{address}/{path}", server, tmp_path / "log") == 200
        assert _status(f"{address}/api/contents?token=wrong", server, tmp_path / "log") == 403
    finally:
        server.terminate()
        server.wait(30)
    said = (tmp_path / "log").read_text()
    assert f"wrote {tmp_path / 'explore-faces-reconstruction.ipynb'}" in said
    assert f"http://127.0.0.1:{port}/lab" in said


def _status(address: str, server: subprocess.Popen, log: Path, patience: float = 90.0) -> int:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not come up; its log ends: {log.read_text()[-2000:]}")


def test_bench_passes_flags_and_exit_code_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "CHECKOUT", tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["bench"])
    assert stop.value.code == 2
    assert "bench runs tests/benchmarks/run.py of a source checkout" in capfd.readouterr().err
    script = tmp_path / "tests" / "benchmarks" / "run.py"
    script.parent.mkdir(parents=True)
    script.write_text("import sys; print(*sys.argv[1:]); sys.exit(3)\n")
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--device", "cuda", "--out", "x.json", "--only", "step", "ssim"])
    assert stop.value.code == 3
    assert capfd.readouterr().out == "--device cuda --out x.json --only step ssim\n"
