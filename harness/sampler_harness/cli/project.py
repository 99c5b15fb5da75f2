"""What a project says once, so that nobody types it each time: ``[tool.sampler-harness]`` of its ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from sampler_harness.wording import did_you_mean

from .options import UsageError

__all__ = ["Project", "project"]

_KEYS = ("targets", "baseline")


@dataclass(frozen=True)
class Project:
    """A project's own defaults.

    Attributes:
        targets: what is checked where the command names nothing.
        baseline: the file of known deviations, where the command names none; empty for none.
    """

    targets: tuple[str, ...] = ()
    baseline: str = ""


def project() -> Project:
    """The defaults of the project in the working directory.

    Raises:
        UsageError: where its table is wrong.
    """
    file = Path("pyproject.toml")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("sampler-harness", {})
    except (OSError, UnicodeDecodeError):
        return Project()
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no TOML: {error}") from error
    for key in table:
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS)
            raise UsageError(f"{file}: [tool.sampler-harness] has no key {key!r}{near} (keys: {', '.join(_KEYS)})")
    targets, baseline = table.get("targets", []), table.get("baseline", "")
    if not isinstance(targets, list) or not all(isinstance(one, str) and one for one in targets):
        raise UsageError(f'{file}: [tool.sampler-harness] targets must be a list such as ["checks.py:my_sampler"]')
    if not isinstance(baseline, str):
        raise UsageError(f"{file}: [tool.sampler-harness] baseline must be the name of a file, got {baseline!r}")
    return Project(tuple(targets), baseline)
