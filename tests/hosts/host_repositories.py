"""Scratch repositories with a git history, made from the example hosts, that tests send pull requests to."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sampler_harness.cli import main

HOSTS = Path(__file__).parents[2] / "fixtures" / "hosts"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str
    summary: str = ""

    @property
    def annotations(self) -> list[tuple[str, int, str, str]]:
        """File, line, title and message of each error that GitHub would show."""
        found = []
        for line in (*self.out.splitlines(), *self.err.splitlines()):
            if line.startswith("::error "):
                head, _, message = line.removeprefix("::error ").partition("::")
                pairs = dict(part.partition("=")[::2] for part in head.split(","))
                found.append((pairs.get("file", ""), int(pairs.get("line", 0)), pairs["title"], message))
        return found


@dataclass(frozen=True)
class Host:
    """A repository in a scratch folder, on its branch ``main``."""

    root: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@host", "-c", "commit.gpgsign=false", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def branch(self, name: str) -> None:
        self.git("checkout", "--quiet", "-b", name)

    def write(self, file: str, text: str) -> None:
        place = self.root / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def edit(self, file: str, old: str, new: str) -> int:
        """Replace what stands there exactly once; returns the line where it stood."""
        text = (self.root / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        self.write(file, text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def check(self, *arguments: str, github: bool = False, environment: Mapping[str, str] | None = None) -> Answer:
        """``check-sampler`` in the repository, with nothing left of an earlier import of it."""
        out, err = io.StringIO(), io.StringIO()
        summary = self.root.parent / "summary.md"
        summary.unlink(missing_ok=True)
        given = dict(environment or {})
        if github:
            given |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
        with _at(self.root, given), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(arguments))
        told = summary.read_text(encoding="utf-8") if summary.exists() else ""
        return Answer(status, out.getvalue(), err.getvalue(), told)


@contextlib.contextmanager
def _at(root: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before, path, modules, given = Path.cwd(), list(sys.path), set(sys.modules), dict(os.environ)
    os.chdir(root)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(given)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(root)):
                del sys.modules[name]


def host(kind: str, folder: Path) -> Host:
    """An example host as a repository of its own, with one commit.

    Args:
        kind: a folder of ``fixtures/hosts``.
        folder: where to put it.
    """
    made = Host(folder / kind)
    shutil.copytree(HOSTS / kind, made.root, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    made.git("init", "--quiet", "--initial-branch", "main")
    made.write(".gitignore", "__pycache__/\n.hypothesis/\n")
    made.commit("The library as it is")
    return made
