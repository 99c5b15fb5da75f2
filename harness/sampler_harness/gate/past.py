"""A sampler's law at another revision: measured there, in a process of its own.

Context: two versions of one module do not fit into one process, and a host that is installed in place would hand the
present code to the old revision's adapter, so that everything would seem unchanged.
Choice: a work tree of the revision, a child process started in it, the places that modules are imported from moved
there; afterwards the child looks where its modules came from, and refuses to answer where one is the present one's.
Reversed by: hosts whose compiled parts must be built before they can be imported; they save laws instead (--save-law).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sampler_harness.importing import module_file
from sampler_harness.saved_laws import load_law
from sampler_harness.targets import place_of

from .git import GitError, Repository

__all__ = ["PastError", "law_at"]

_START = """\
import sys
sys.path[:0] = {own!r}
import reference_samplers, sampler_harness
del sys.path[:{count}]
from sampler_harness.gate.measured import main
main({arguments!r})
"""


class PastError(ValueError):
    """The sampler could not be measured at that revision; the message says why."""


def law_at(
    target: str,
    revision: str,
    repository: Repository,
    *,
    settings: Mapping[str, Any] | None = None,
    budget: str = "standard",
    device: str = "cpu",
) -> Mapping[str, Any]:
    """Measure a target at another revision.

    Args:
        target: as a person types it, relative to the working directory; loaded already, so that it is known where
            its modules come from.
        revision: a branch, tag, commit or expression.
        repository: that the working directory lies in.
        settings: for adapters, what ``--set`` gave.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: any torch device.

    Returns:
        What :func:`~sampler_harness.saved_laws.load_law` returns.

    Raises:
        PastError: when there is no such revision, or no such sampler in it.
    """
    try:
        commit = repository.commit(revision)
        with repository.checkout(commit) as tree, tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "law.json"
            _measured(target, tree, repository.root, out, settings or {}, budget, device)
            try:
                law = dict(load_law(out))
            except ValueError as error:
                raise PastError(f"{target} could not be measured at {revision}: {error}") from error
    except GitError as error:
        raise PastError(str(error)) from error
    law["name"] = f"{target.rpartition(':')[2]} at {revision} ({commit[:10]})"
    return law


def _measured(
    target: str, tree: Path, root: Path, out: Path, settings: Mapping[str, Any], budget: str, device: str
) -> None:
    here = Path.cwd().resolve()
    inside = here.relative_to(root) if here.is_relative_to(root) else Path()
    place = tree / inside
    if not place.is_dir():
        place = tree
    _declared_as_now(target, here, place)
    arguments = {
        "target": _moved(target, root, tree),
        "out": str(out),
        "settings": dict(settings),
        "budget": budget,
        "device": device,
        "not_from": str(root),
        "from_": str(tree),
    }
    own = _own_roots()
    script = _START.format(own=own, count=len(own), arguments=arguments)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_roots(root, tree)), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise PastError(told[-1] if told else f"measuring it there ended with status {done.returncode}")


def _declared_as_now(target: str, here: Path, place: Path) -> None:
    """A test file that the revision does not have yet is taken from now: the sampler that it imports is the old one."""
    file = place_of(target)
    if not file.endswith(".py") or Path(file).is_absolute():
        return
    then = place / file
    if not then.exists() and (here / file).is_file():
        then.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here / file, then)


def _moved(target: str, root: Path, tree: Path) -> str:
    """A target that names a file by its whole path, in the other tree."""
    path = place_of(target)
    if path.endswith(".py") and Path(path).is_absolute() and Path(path).resolve().is_relative_to(root):
        return f"{tree / Path(path).resolve().relative_to(root)}{target[len(path) :]}"
    return target


def _own_roots() -> list[str]:
    """Where this package and the references are imported from: the present ones measure every revision."""
    import reference_samplers

    references = Path(reference_samplers.__file__ or "").resolve().parent.parent
    return list(dict.fromkeys([str(Path(__file__).resolve().parents[2]), str(references)]))


def _roots(root: Path, tree: Path) -> Sequence[str]:
    """Import places inside the repository, moved to the other tree; then those outside, as they are."""
    places = [Path(entry or ".").resolve() for entry in sys.path]
    places += [_import_root(name, file) for name in list(sys.modules) if (file := module_file(name)) is not None]
    moved = [tree / place.relative_to(root) for place in places if place.is_relative_to(root)]
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    outside = [entry for entry in given if not Path(entry).resolve().is_relative_to(root)]
    kept = [str(place) for place in moved if place.is_dir()]
    return list(dict.fromkeys([*kept, *outside]))


def _import_root(name: str, file: Path) -> Path:
    """The folder that a loaded module's top package stands in."""
    depth = name.count(".") + (1 if file.name == "__init__.py" else 0)
    return file.parents[depth] if depth < len(file.parents) else file.parent
