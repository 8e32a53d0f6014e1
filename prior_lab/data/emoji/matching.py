"""Which drawing of a set shows which concept: by code point where the set tells, else by name, else by another name.

Another name of a concept is its formal name in Unicode, the name that another set gives its code points, and what one
of these is called as an alias in any set. A name that would tell of two concepts tells of none.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from prior_lab.data.emoji.sources import Concept, Package, key

VARIANT = "1"  # streamline numbers several drawings of one concept; the first is taken


def other_names(concepts: Iterable[Concept], packages: Iterable[Package]) -> dict[str, str]:
    """Keys of names -> code text of the concept; names of Unicode's table go before all others."""
    concepts, packages = tuple(concepts), tuple(packages)
    own = {key(concept.name): concept.code_text for concept in concepts}
    told: dict[str, set[str]] = defaultdict(set)
    for concept in concepts:
        if len(concept.codes) == 1:
            told[key(unicodedata.name(chr(concept.codes[0]), concept.name))].add(concept.code_text)
    known = {concept.code_text for concept in concepts}
    for package in packages:
        for code, name in package.by_code.items():
            told[key(name)].add(code)
    certain = _unambiguous(own, told, known)
    for package in packages:
        for alias, target in package.aliases.items():
            pair = key(alias), key(str(target["parent"]))
            for first, second in (pair, pair[::-1]):
                if first in certain and not _is_turned(target):
                    told[second].add(certain[first])
    return _unambiguous(own, told, known)


def match(concepts: Iterable[Concept], package: Package, names: Mapping[str, str]) -> dict[str, str]:
    """Code text of every concept that a set draws -> the set's name of the drawing.

    A drawing that would show several concepts shows the first of Unicode's table.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in (*package.icons, *package.aliases):
        by_key[names.get(key(name), "")].append(name)
        if name.endswith(f"-{VARIANT}"):
            by_key[names.get(key(name.removesuffix(f"-{VARIANT}")), "")].append(name)
    matched: dict[str, str] = {}
    taken: set[str] = set()
    for concept in concepts:
        named = sorted(by_key[concept.code_text], key=lambda name: (key(name) != key(concept.name), name))
        candidates = [package.by_code.get(concept.code_text, ""), *named]
        free = [name for name in candidates if name and _own_name(package, name) not in taken]
        if free:
            matched[concept.code_text] = free[0]
            taken.add(_own_name(package, free[0]))
    return matched


def _unambiguous(own: Mapping[str, str], told: Mapping[str, set[str]], known: set[str]) -> dict[str, str]:
    found = {name: next(iter(codes)) for name, codes in told.items() if len(codes) == 1 and codes <= known}
    return found | dict(own)


def _own_name(package: Package, name: str) -> str:
    """What a name stands for; a turned drawing is one of its own."""
    target = package.aliases.get(name)
    return name if target is None or _is_turned(target) else str(target["parent"])


def _is_turned(target: Mapping[str, object]) -> bool:
    return any(target.get(turn) for turn in ("hFlip", "vFlip", "rotate"))
