"""The laws of a sampler's cases in a file, so that a later version can be held against them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .verdict import SCHEMA_VERSION

if TYPE_CHECKING:
    from .checks.evidence import Evidence
    from .law.law import Law
    from .observe.trace import Case

__all__ = ["SavedLaws", "law_of_case", "load_law", "write_laws"]

#: With a law of its own for each case, a saved file is compared where its cases are met.
SavedLaws = Mapping[str, Any]


def write_laws(evidence: Evidence, versions: Mapping[str, str], path: str | Path) -> None:
    """Write the laws of all measured cases.

    Args:
        evidence: of the sampler.
        versions: of what the verdict depends on.
        path: JSON file to write.
    """
    cases = [
        {
            "configuration": repr(case.config),
            "shape": list(case.shape),
            "dtype": case.dtype,
            "law": evidence.bundle(case).law.to_json(),
        }
        for case in evidence.affine_cases
        if evidence.bundle(case).problem is None
    ]
    data = {
        "schema_version": SCHEMA_VERSION,
        "sampler": evidence.subject.target or evidence.subject.name,
        "versions": dict(versions),
        "cases": cases,
    }
    Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def load_law(path: str | Path) -> SavedLaws:
    """Read what was saved.

    Raises:
        ValueError: when the file is not a saved law; the message says what is wrong.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a saved law: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list) or "sampler" not in data:
        raise ValueError(f"{path} is not a saved law: it has no cases")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"{path} has schema {data.get('schema_version')}, this version reads {SCHEMA_VERSION}")
    return data


def law_of_case(saved: SavedLaws) -> Callable[[Case], Law | None]:
    """Look up a case's law; None where the file has none for it.

    Args:
        saved: what :func:`load_law` read.
    """
    from .law.law import Law

    laws = {
        (entry["configuration"], tuple(entry["shape"]), entry["dtype"]): Law.from_json(entry["law"])
        for entry in saved["cases"]
    }
    return lambda case: laws.get((repr(case.config), tuple(case.shape), case.dtype))
