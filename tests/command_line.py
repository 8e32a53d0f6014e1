"""Commands as a test runs them: what they print, and the sentence with which they refuse."""

import json

import pytest

from prior_lab.__main__ import main


def told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict:
    """The one JSON object that a command prints."""
    capsys.readouterr()
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """What a command that ends with code 2 says."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    return capsys.readouterr().err
