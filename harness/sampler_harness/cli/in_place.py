"""Run ``check-sampler`` from a checkout, under somebody else's interpreter and in their repository; a script.

    cd their/repository && their/python …/harness/sampler_harness/cli/in_place.py TARGET

Context: a person who wants one verdict does not want a package in their environment.
Choice: the two packages are imported from the checkout, and its folders leave the import path again at once: the
folders ``tests`` and ``fixtures`` beside them would stand in the way of the repository's own.
Reversed by: an installation that leaves nothing behind by itself.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

NEEDED = ("torch", "numpy", "scipy", "hypothesis", "pytest")


def main() -> int:
    """The command's exit status."""
    here = Path(__file__).resolve()
    own = [str(here.parents[2]), str(here.parents[3])]
    sys.path[0] = os.getcwd()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(f"check-sampler: {sys.executable} lacks {', '.join(missing)}: install them there\n")
        return 2
    sys.path[:0] = own
    import reference_samplers  # noqa: F401 - found here and now, or never again
    from sampler_harness.cli import main as command

    del sys.path[: len(own)]
    return command()


if __name__ == "__main__":
    raise SystemExit(main())
