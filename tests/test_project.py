"""The project keeps its own promises: who imports whom, what the core needs, and files that say the same thing."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import prior_lab

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "prior_lab"
FACES = {"figures", "widgets", "teaching", "commands", "__main__"}


def _listed_modules() -> list[str]:
    """Modules in the order of the documented file tree, `data/` and `widgets/` as one each."""
    tree = (ROOT / "docs" / "explain" / "design.md").read_text().split("```\nprior_lab/\n")[1].split("```")[0]
    names = re.findall(r"^  (\w+)(?:\.py|/) ", tree, re.MULTILINE)
    return [name for name in names if name != "bundled"]


def _imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "prior_lab":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prior_lab."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("prior_lab.")}
    return found


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_file_tree_lists_every_module():
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(_listed_modules()) == sorted(there - {"__init__"})


@pytest.mark.parametrize("name", _listed_modules())
def test_a_module_imports_only_modules_above_it(name):
    listed = _listed_modules()
    above = set(listed[: listed.index(name) + 1])
    files = (PACKAGE / name).rglob("*.py") if (PACKAGE / name).is_dir() else [PACKAGE / f"{name}.py"]
    for path in files:
        assert _imports(path) <= above, path.name


def test_the_core_needs_no_notebook_package_and_no_command_line_package():
    core = [name for name in _listed_modules() if name not in FACES]
    absent = ["plotly", "ipywidgets", "anywidget", "IPython", "tyro", "numba", "resvg_py"]
    block = f"import sys; sys.modules.update(dict.fromkeys({absent}))"
    assert _python(f"{block}; import {', '.join(f'prior_lab.{name}' for name in core)}; print('fine')") == "fine"


def test_without_the_lab_extra_explore_tells_what_to_install():
    code = """
        import sys; sys.modules["plotly"] = sys.modules["anywidget"] = sys.modules["ipywidgets"] = None
        import prior_lab
        try: prior_lab.explore
        except prior_lab.InputError as error: print(error)
    """
    assert "pip install 'prior-lab[lab]'" in _python("\n".join(line.strip() for line in code.splitlines()))


def test_importing_the_package_is_quick_and_loads_nothing_large():
    code = "import sys, time; t = time.perf_counter(); import prior_lab; print(time.perf_counter() - t, *sys.modules)"
    seconds, *modules = _python(code).split()
    assert float(seconds) < 2.5
    assert not {"torch", "numpy", "xarray", "plotly"} & set(modules)


@pytest.mark.parametrize("name", prior_lab.__all__)
def test_every_public_name_is_there(name):
    assert getattr(prior_lab, name) is not None
    assert name in dir(prior_lab)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'prior_lab' has no attribute 'nothing'"):
        _ = prior_lab.nothing


def test_versions_are_in_step():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["version"] == prior_lab.__version__ == citation["version"] == newest.group(1)
    assert project["license"] == citation["license"]


def test_the_conda_environment_is_the_pip_installation():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert environment["name"] == project["name"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"] == ["python=3.11", "pip", {"pip": ["-e .[dev]"]}]
    assert project["requires-python"] == ">=3.11"
    assert "dev" in project["optional-dependencies"]


def test_the_citation_names_the_paper():
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Ayari", "Traub", "Butz"]
    assert paper["identifiers"][0]["value"] == "arXiv:2606.25232"


def test_no_file_is_large():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    sizes = {name: (ROOT / name).stat().st_size for name in listed if name and (ROOT / name).is_file()}
    assert max(sizes.values()) < 20e6
    assert sum(sizes.values()) < 100e6  # three bundled data sets, and the weights of every arm that explorers show
