"""What a test needs of the machine that not every machine has."""

import os
import shutil
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """End a test that this machine cannot run: a developer's skips it, but where `.ci/run` runs a promise may not go untested."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}: .ci/run runs on machines that have it, or installs it")
    pytest.skip(what)


def tmux() -> str:
    """Return where tmux is."""
    return shutil.which("tmux") or lacking("there is no tmux on this machine")
