"""The documentation keeps its promises: every example runs, every public name has a page, every page's code is true.

Examples are those of docstrings in the whole package (as `--doctest-modules` would collect them) and the Python on the
site's pages. A page may say what its code stands on in a block `{testsetup}`, which is not shown, and may name numbers
that are made small for the test, in a comment: `% shrink: steps=2000 -> steps=2`. Such a number has to be there.
"""

import doctest
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import prior_lab
from prior_lab.__main__ import main, parse

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = Path(prior_lab.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text("utf-8"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if not {"_build", "notebooks", "cards"} & set(path.relative_to(DOCS).parts)
)
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<kind>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)
SHRINK = re.compile(r"^% shrink: (.+) -> (.+)$", re.MULTILINE)


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=_module_name)
def test_the_examples_of_a_module_give_what_they_show(path, no_shape_checks):
    name = _module_name(path)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for found in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        runner.run(found, out=told.append)
    assert runner.tries
    assert not runner.failures, "".join(told)


def _docstring_of(name: str) -> str:
    return getattr(prior_lab, name).__doc__ or ""


@pytest.mark.parametrize("name", prior_lab.__all__)
def test_every_public_name_has_an_example_and_a_page(name):
    assert re.search(r"^\s*Examples\n\s*-{8}\n", _docstring_of(name), re.MULTILINE)
    assert ">>> " in _docstring_of(name)
    assert re.search(rf"^   {name}$", (DOCS / "reference" / "index.rst").read_text("utf-8"), re.MULTILINE)


def _fences(path: Path, *kinds: str) -> list[str]:
    return [found["body"] for found in FENCE.finditer(path.read_text("utf-8")) if found["kind"].strip() in kinds]


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PAGES if _fences(path, "python")], ids=lambda path: path.name)
def test_the_python_of_a_page_runs(path, tmp_path, monkeypatch, no_shape_checks):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(_fences(path, "python", "{testsetup}"))
    for large, small in SHRINK.findall(path.read_text("utf-8")):
        assert large in code, f"{path.name} no longer has {large!r}"
        code = code.replace(large, small)
    module = type(sys)("page")  # a module of its own, so that classes on a page can be told apart
    monkeypatch.setitem(sys.modules, "page", module)
    exec(compile(code, str(path), "exec"), module.__dict__)


def _commands() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for block in _fences(path, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.search(r"(?:-m prior_lab|\bprior-lab) ([a-z].*?)(?:\s+[#|].*)?$", line)
                if found and "--help" not in found[1]:
                    yield path.name, found[1]


@pytest.mark.parametrize(("page", "command"), list(_commands()))
def test_the_commands_of_a_page_are_commands(page, command):
    alternatives = re.sub(r"\{([^}]*),[^}]*\}", r"\1", command)  # as a shell would take the first of {a,b}
    assert parse(shlex.split(alternatives)) is not None


def _transcripts() -> Iterator[tuple[str, str, str]]:
    for path in PAGES:
        for block in _fences(path, "console"):
            for told in re.split(r"^\$ prior-lab ", block, flags=re.MULTILINE)[1:]:
                command, _, answer = told.partition("\n")
                yield path.name, command, answer


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command", "answer"), list(_transcripts()), ids=lambda part: part.split("\n")[0])
def test_the_transcripts_of_a_page_are_what_commands_say(page, command, answer, capsys):
    main(shlex.split(command))
    said = capsys.readouterr().out.split()
    assert len(said) == len(answer.split())
    for found, stored in zip(said, answer.split(), strict=True):
        assert float(found) == pytest.approx(float(stored), rel=2e-3) if "." in stored else found == stored


def test_every_page_is_reached_from_the_first():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for block in _fences(page, "{toctree}") if page.suffix == ".md" else []:
            for line in block.splitlines():
                name = re.sub(r".*<(.*)>", r"\1", line.strip())
                target = page.parent / f"{name}.md"
                if name and not name.startswith(":") and target.exists() and target not in reached:
                    waiting.append(target)
    assert not set(PAGES) - reached
