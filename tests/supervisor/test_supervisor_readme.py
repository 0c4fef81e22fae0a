"""The README's example runs and prints what its comments say."""

import re
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import supervisor


def test_readme_example_runs_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader can paste the example, and it does what it says."""
    readme = (Path(supervisor.__file__).parent / "README.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    promised = re.findall(r"print\(.*\)  # (.*)", example)
    names: dict[str, object] = {"__name__": "readme"}

    exec(example, names)
    main = names["main"]
    assert callable(main)
    trio.run(main, clock=MockClock(autojump_threshold=0))

    assert capsys.readouterr().out.splitlines() == promised
