"""jaxtyping and beartype on every function of the package that tests import."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import beartype
from jaxtyping import install_import_hook


def checked(function: Callable) -> Callable:
    """Check arguments and results; `Self`, which beartype knows only inside whole classes, counts as any type."""
    notes = function.__annotations__
    function.__annotations__ = {name: object if "typing.Self" in repr(note) else note for name, note in notes.items()}
    return beartype.beartype(function)


class NumbaModules(MetaPathFinder):
    """Imports modules with numba kernels as they are: numba cannot compile a function that is wrapped in checks."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("prior_lab."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        kernels = spec is not None and spec.origin and "from numba import" in Path(spec.origin).read_text("utf-8")
        return spec if kernels else None


def install() -> None:
    """Check whatever is imported from now on."""
    install_import_hook("prior_lab", "shape_checks.checked")
    sys.meta_path.insert(0, NumbaModules())
