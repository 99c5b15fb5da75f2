"""What the workers of one pytest-xdist run share: a sampler is measured by the first that asks, once for all.

Context: a sampler's checks read one measurement; workers that each have some of the checks would each measure all of
it, so that ``-n 4`` cost four times the work.
Choice: a folder for the run, a file for each sampler, and a lock on it; who waits, waits for less than measuring would
take. Any way of distributing tests will do, and the lock of a worker that dies is free again.
Reversed by: pytest-xdist grouping tests by itself, without ``--dist loadgroup``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

__all__ = ["Shared"]


class Shared:
    """Values that are made once in a run, whichever process asks first.

    Args:
        folder: that belongs to the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The value of a name: made here and now where no process has, else read.

        Args:
            name: any text.
            make: gives a value that JSON has.

        Returns:
            The value as JSON gives it back, for whoever made it too.
        """
        file = self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                text = json.dumps(make(), allow_nan=False)
                unfinished = file.with_suffix(f".{os.getpid()}")
                unfinished.write_text(text, encoding="utf-8")
                unfinished.replace(file)
            return json.loads(file.read_text(encoding="utf-8"))
