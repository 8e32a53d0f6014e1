"""The data set `emoji`: what is asked of it, and what it is built from."""

from pathlib import Path

from case import Case

import prior_lab as pl
from prior_lab.__main__ import main
from prior_lab.data.emoji.build import build_emoji

CASES = [
    *(
        Case(f"load_dataset {name}", lambda _, options=options: pl.load_dataset("emoji", **options), says)
        for name, options, says in (
            ("of no such split", {"split": "all"}, "emoji has no split 'all'; there are train, validation, test"),
            ("of a split of None characters", {"split": ""}, "emoji has no split ''"),
            ("of another size", {"split": "test", "size": 48}, "sizes are 64, 32, 16, 8"),
            ("of size zero", {"split": "test", "size": 0}, "size"),
            ("of a text", {"split": "test", "path": "text.txt"}, "is truncated or altered"),
            ("of nothing", {"split": "test", "path": "nothing.zip"}, "is missing; reinstall prior_lab"),
            ("of a folder", {"split": "test", "path": "notes"}, "is missing"),
            ("converted", {"split": "test", "convert": "rgb"}, "emoji is RGB"),
            ("with frames", {"split": "test", "frames": 2}, "frames= is for the data set mvimgnet2"),
        )
    ),
    *(
        Case(f"build {name}", lambda _, source=source, out=out: build_emoji(Path(source), Path(out)), says)
        for name, source, out, says in (
            ("from nowhere", "nowhere", "emoji.zip", "nowhere is no folder; expected the npm packages @iconify-json/"),
            ("from a file", "text.txt", "emoji.zip", "text.txt is no folder"),
            ("into a folder", "pictures", "notes", "is a folder"),
        )
    ),
    Case(
        "build with another table of Unicode",
        lambda _: build_emoji(Path("pictures"), Path("emoji.zip"), unicode_file=Path("text.txt")),
        "text.txt is not emoji-test.txt of Unicode 15.0",
    ),
    Case(
        "build without a table of Unicode",
        lambda _: build_emoji(Path("pictures"), Path("emoji.zip"), unicode_file=Path("nothing.txt")),
        "nothing.txt is missing; Debian's unicode-data has it",
    ),
    *(
        Case(f"data build emoji {name}", lambda _, flags=flags: main(["data", "build", "emoji", *flags]), says)
        for name, flags, says in (
            ("from nowhere", ["--source", "nowhere"], "nowhere is no folder"),
            ("with a text", ["--source", "pictures", "--unicode", "text.txt"], "is not emoji-test.txt"),
        )
    ),
]
