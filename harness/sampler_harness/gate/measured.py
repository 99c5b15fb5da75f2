"""What runs at another revision: load a target there, measure it, save its law, and look where its code came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(arguments: Mapping[str, Any]) -> None:
    """Measure and save.

    Args:
        arguments: ``target``, ``out``, ``settings``, ``budget``, ``device``, and the folders ``from_`` and
            ``not_from`` that modules must, and must not, come from.

    Raises:
        SystemExit: with a sentence, where there is no law to be saved.
    """
    from sampler_harness.importing import TargetError
    from sampler_harness.runner import Assessment, save_law
    from sampler_harness.targets import load_sampler

    try:
        subject = load_sampler(arguments["target"], arguments["settings"])
        if subject.fixture_names:
            raise SystemExit(f"it takes the pytest fixtures {', '.join(subject.fixture_names)} there")
        assessment = Assessment(subject, budget=arguments["budget"], device=arguments["device"])
        assessment.evidence.measure()
        save_law(assessment, arguments["out"])
    except (TargetError, ValueError) as error:
        raise SystemExit(f"not to be had at that revision: {error}") from None
    foreign = _foreign(Path(arguments["not_from"]), Path(arguments["from_"]))
    if foreign:
        raise SystemExit(
            f"{foreign[0]} was imported from the present checkout, not from the revision: nothing would be compared. "
            "Install the project in place with plain paths, or save the law there with --save-law"
        )


def _foreign(not_from: Path, from_: Path) -> list[str]:
    """Loaded modules that come from the checkout that is not to be measured."""
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0] in ("sampler_harness", "reference_samplers"):
            continue
        path = Path(file).resolve()
        installed = "site-packages" in path.parts or path.is_relative_to(Path(sys.prefix).resolve())
        if path.is_relative_to(not_from) and not path.is_relative_to(from_) and not installed:
            found.append(f"{name} ({path})")
    return found
