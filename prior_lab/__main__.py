"""The command line, `python -m prior_lab` or `prior-lab`: train, measure, explore and look things up.

Its flags are the fields of the same dataclasses that notebooks use. A command whose input cannot be used ends with one
sentence and exit code 2. With --json a command prints one JSON object and nothing else to standard output.
"""

import io
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Annotated, Any

import tyro

from prior_lab.commands.answers import Command
from prior_lab.commands.bytes import Compress, Decompress
from prior_lab.commands.data import Data
from prior_lab.commands.embedding import Embed, SearchIndex
from prior_lab.commands.flags import SearchFlags, StudyFlags, TrainFlags
from prior_lab.commands.lab import Bench, Explore
from prior_lab.commands.measuring import Ceiling, Information, Measure, Probe, Quality
from prior_lab.commands.paper import Paper
from prior_lab.errors import InputError


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments name."""
    if arguments and arguments[0] in ("train", "study", "search"):
        from prior_lab.commands.training import training_commands

        training = training_commands(arguments)
    else:
        training = (
            Annotated[TrainFlags, tyro.conf.subcommand("train")],
            Annotated[StudyFlags, tyro.conf.subcommand("study")],
            Annotated[SearchFlags, tyro.conf.subcommand("search")],
        )
    commands: Any = (
        training[0]
        | training[1]
        | training[2]
        | Annotated[Ceiling, tyro.conf.subcommand("ceiling")]
        | Annotated[Measure, tyro.conf.subcommand("measure")]
        | Annotated[Quality, tyro.conf.subcommand("quality")]
        | Annotated[Information, tyro.conf.subcommand("information")]
        | Annotated[Probe, tyro.conf.subcommand("probe")]
        | Annotated[Compress, tyro.conf.subcommand("compress")]
        | Annotated[Decompress, tyro.conf.subcommand("decompress")]
        | Annotated[Embed, tyro.conf.subcommand("embed")]
        | Annotated[SearchIndex, tyro.conf.subcommand("search-index")]
        | Annotated[Explore, tyro.conf.subcommand("explore")]
        | Annotated[Data, tyro.conf.subcommand("data")]
        | Annotated[Paper, tyro.conf.subcommand("paper")]
        | Annotated[Bench, tyro.conf.subcommand("bench")]
    )
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            command: Command = tyro.cli(commands, args=arguments, prog="prior-lab", description=__doc__)
    except SystemExit as ended:
        refused = _cause(ended)
        if refused is None:
            print(box.getvalue(), end="", file=sys.stderr)
            raise
        raise refused from None
    return command


def _cause(ended: SystemExit) -> InputError | None:
    """The sentence of a config that refused a value, where that is why parsing ended."""
    error: BaseException | None = ended
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; see the module's text."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    try:
        parse(given).run(shlex.join(["python", "-m", "prior_lab", *given]))
        sys.stdout.flush()
    except _told_in_a_sentence() as error:
        print(f"prior_lab: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except BrokenPipeError as error:  # whoever read has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from error
    except KeyboardInterrupt as error:
        print(f"\nprior_lab: {error or 'interrupted'}", file=sys.stderr)
        raise SystemExit(130) from error


def _told_in_a_sentence() -> tuple[type[Exception], ...]:
    """What ends a command without a traceback; what only training raises is known once training is imported."""
    training = sys.modules.get("prior_lab.training.loop")
    return (InputError,) if training is None else (InputError, training.NotFiniteError)


if __name__ == "__main__":
    main()
