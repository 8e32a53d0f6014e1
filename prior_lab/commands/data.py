"""`data build`, `data pack` and `data list`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prior_lab.commands.answers import Answer, Answering


@dataclass(frozen=True)
class BuildData:
    """Make a bundled data set anew from its source and report whether it is the bundled file, bit for bit.

    SOURCE is, for household, the folder of Debian's sweethome3d-furniture: /usr/share/sweethome3d/furniture; for
    fashion, that of dataset-fashion-mnist: /usr/share/datasets/fashion-mnist; for emoji, one with the npm packages that
    data_cards/emoji.md lists, each unpacked under its name: node_modules/@iconify-json.
    """

    name: tyro.conf.Positional[Literal["household", "fashion", "emoji"]]
    source: Path
    out: Path | None = None
    """The file to write; NAME-rebuilt.zip if not given."""
    workers: int = 2
    """Processes that render household at the same time; the others need one."""
    unicode: Path | None = None
    """Unicode's emoji-test.txt for emoji; that of Debian's package unicode-data, if not given."""

    def run(self, command: str) -> None:
        """Render, or choose."""
        out = self.out or Path(f"{self.name}-rebuilt.zip")
        match self.name:
            case "household":
                from prior_lab.data.household.build import build_household

                build_household(self.source, out, workers=self.workers)
            case "fashion":
                from prior_lab.data.fashion.bundle import build_fashion

                build_fashion(self.source, out)
            case "emoji":
                from prior_lab.data.emoji.build import build_emoji
                from prior_lab.data.emoji.sources import UNICODE_FILE

                build_emoji(self.source, out, unicode_file=self.unicode or UNICODE_FILE)


@dataclass(frozen=True)
class PackData:
    """Write a data set into a folder that is read from disk as images are used: --data packed --path OUT.

    For data larger than memory; NAME is a data set of `data list`.
    """

    name: tyro.conf.Positional[str]
    out: Path
    """The new folder; it appears when it is whole."""
    path: Path | None = None
    """Folder of the images, for data sets that are read from one."""
    size: int | None = None
    """Side of the stored images [pixel]; by default that of the data set."""
    splits: tuple[str, ...] = ("train", "validation", "test")
    """Which splits to write."""
    convert: Literal["rgb"] | None = None
    """With rgb, the data set folder converts images that are not RGB."""
    unreadable: Literal["raise", "skip"] = "raise"
    """With skip, folder and mvimgnet2 pass over images that cannot be read."""
    frames: int | None = None
    """At most so many images of each object of mvimgnet2; 16 if not given."""

    def run(self, command: str) -> None:
        """Pack."""
        from prior_lab.data import pack_dataset

        contents = pack_dataset(
            self.name,
            self.out,
            splits=self.splits,
            path=self.path,
            size=self.size,
            convert=self.convert,
            unreadable=self.unreadable,
            frames=self.frames,
        )
        sizes = ", ".join(f"{split} {count:,}" for split, count in contents.splits.items())
        print(f"wrote {self.out}: images of {contents.width}x{contents.height} pixels, {sizes}")


@dataclass(frozen=True, kw_only=True)
class ListData(Answering):
    """List the data sets."""

    def answer(self, command: str) -> Answer:
        """A line for each."""
        from prior_lab.data import list_datasets

        lines = list_datasets()
        return Answer({"datasets": dict(line.split(": ", 1) for line in lines)}, "\n".join(lines))


@dataclass(frozen=True)
class Data:
    """Build, pack or list data sets."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildData, tyro.conf.subcommand("build")]
        | Annotated[PackData, tyro.conf.subcommand("pack")]
        | Annotated[ListData, tyro.conf.subcommand("list")]
    ]

    def run(self, command: str) -> None:
        """Pass on to the action."""
        self.action.run(command)
