"""Which concept goes into which split: families stay whole, subgroups are divided evenly, and a hash decides."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from prior_lab.data.emoji.recipe import FEWEST_CONCEPTS, SHARES, SPLITS
from prior_lab.data.emoji.sources import Concept


def kept_subgroups(concepts: Sequence[Concept]) -> set[str]:
    """Subgroups that enough concepts have to be labels."""
    counts = Counter(concept.subgroup for concept in concepts)
    return {subgroup for subgroup, count in counts.items() if count >= FEWEST_CONCEPTS}


def assign_splits(concepts: Sequence[Concept], family: Mapping[str, str]) -> dict[str, str]:
    """Code text of every concept -> its split.

    A stratum is a subgroup that is kept as a label, or what is left of a group; a family belongs where its first member
    does, and is never divided.

    Parameters
    ----------
    family : code text -> that of the family's first member.
    """
    kept = kept_subgroups(concepts)
    sizes = Counter(family[concept.code_text] for concept in concepts)
    strata: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for concept in concepts:
        if family[concept.code_text] == concept.code_text:
            subgroup = concept.subgroup if concept.subgroup in kept else ""
            strata[concept.group, subgroup][concept.code_text] = sizes[concept.code_text]
    split_of: dict[str, str] = {}
    for stratum in strata.values():
        split_of.update(_divided(stratum))
    return {concept.code_text: split_of[family[concept.code_text]] for concept in concepts}


def _divided(stratum: Mapping[str, int]) -> dict[str, str]:
    """Families of one stratum: two of the smallest to test and validation, the others where most is missing."""
    order = sorted(stratum, key=lambda family: (-stratum[family], hashlib.sha256(family.encode()).digest()))
    held = Counter(dict.fromkeys(SPLITS, 0))
    chosen: dict[str, str] = {}
    if len(order) >= len(SPLITS):
        for split in ("test", "validation"):
            chosen[order.pop()] = split
        for family, split in chosen.items():
            held[split] += stratum[family]
    total = sum(stratum.values())
    wanted = {split: share * total for split, share in zip(SPLITS, SHARES, strict=True)}
    for family in order:
        split = max(SPLITS, key=lambda split: (wanted[split] - held[split], -SPLITS.index(split)))
        chosen[family] = split
        held[split] += stratum[family]
    return chosen
