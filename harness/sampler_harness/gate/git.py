"""What git knows: the files and lines that a revision differs in, and a checkout of it beside the present one."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Changes", "GitError", "Repository", "changes_of_workflow", "repository_of"]

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


class GitError(ValueError):
    """Git could not answer; the message says what to do."""


@dataclass(frozen=True)
class Changes:
    """What differs from a revision.

    Attributes:
        files: paths below the repository's root, new ones and removed ones included.
        lines: path to the lines, as numbered now, that are new or stand where others were removed.
    """

    files: frozenset[str]
    lines: dict[str, frozenset[int]]


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Attributes:
        root: the top folder of its work tree.
    """

    root: Path

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.root), "-c", "core.quotepath=off", *arguments],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise GitError("git is not installed here") from None
        if done.returncode:
            told = done.stderr.strip().splitlines()
            raise GitError(told[-1].removeprefix("fatal: ") if told else f"git {arguments[0]} failed")
        return done.stdout

    def commit(self, revision: str) -> str:
        """The commit behind a revision.

        Args:
            revision: a branch, tag, commit or expression, as ``main`` or ``HEAD~1``.

        Raises:
            GitError: when there is no such commit here.
        """
        try:
            return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
        except GitError as error:
            raise GitError(
                f"there is no revision {revision!r} in {self.root} (a shallow checkout holds the last commit only: "
                "in a workflow give actions/checkout fetch-depth: 0)"
            ) from error

    def branched_from(self, revision: str) -> str:
        """The commit where the present work left a revision's history; the revision itself where they share none.

        Args:
            revision: as for :meth:`commit`.
        """
        commit = self.commit(revision)
        try:
            return self._git("merge-base", commit, "HEAD").strip()
        except GitError:
            return commit

    def changes(self, commit: str) -> Changes:
        """What the work tree, files that git does not know yet included, has otherwise than a commit.

        Args:
            commit: its hash.
        """
        names = self._git("diff", "--name-only", "--no-renames", "-z", commit).split("\0")
        new = self._git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/").split("\0")
        lines: dict[str, set[int]] = {}
        file = ""
        for row in self._git("diff", "--unified=0", "--no-color", "--no-renames", "--no-ext-diff", commit).split("\n"):
            if row.startswith("+++ "):
                file = row[4:].removeprefix("b/").rstrip("\t")
            hunk = _HUNK.match(row)
            if hunk:
                first, count = int(hunk[1]), int(hunk[2] if hunk[2] is not None else 1)
                # A hunk that only removes stands behind its line.
                lines.setdefault(file, set()).update(range(first, first + max(count, 1)))
        for name in filter(None, new):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                count = len((self.root / name).read_text(encoding="utf-8").splitlines())
                lines[name] = set(range(1, count + 1))
        return Changes(
            frozenset(name for name in (*names, *new) if name),
            {name: frozenset(numbers) for name, numbers in lines.items()},
        )

    @contextlib.contextmanager
    def checkout(self, commit: str) -> Iterator[Path]:
        """A work tree of a commit in a folder of its own, gone afterwards; the present one is not touched.

        Args:
            commit: its hash.
        """
        with tempfile.TemporaryDirectory(prefix="sampler-harness-") as folder:
            place = Path(folder).resolve() / "tree"
            self._git("worktree", "add", "--detach", "--force", "--quiet", str(place), commit)
            try:
                yield place
            finally:
                with contextlib.suppress(GitError):
                    self._git("worktree", "remove", "--force", str(place))


def repository_of(place: Path) -> Repository:
    """The repository that a folder lies in.

    Args:
        place: the folder.

    Raises:
        GitError: when it lies in none.
    """
    try:
        root = Repository(place)._git("rev-parse", "--show-toplevel").strip()
    except GitError as error:
        raise GitError(f"{place} is in no git repository ({error})") from error
    return Repository(Path(root).resolve())


def changes_of_workflow(revision: str = "") -> tuple[Repository, Changes] | None:
    """What a pull request changes, as far as that is known; only where an annotation stands depends on it.

    Args:
        revision: that it is held against; empty for the branch that it would be merged into, as a workflow of
            GitHub's says.

    Returns:
        None outside a repository, or where neither is known.
    """
    base = os.environ.get("GITHUB_BASE_REF")
    revision = revision or (f"origin/{base}" if base else "")
    if not revision:
        return None
    try:
        repository = repository_of(Path.cwd())
        return repository, repository.changes(repository.branched_from(revision))
    except GitError:
        return None
