"""The command line's words: which options there are, and what their texts mean."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from sampler_harness.catalogue import KINDS, check_ids
from sampler_harness.wording import did_you_mean

__all__ = ["BUDGETS", "UsageError", "chosen_checks", "parser", "settings"]

BUDGETS = ("quick", "standard", "thorough")


class UsageError(Exception):
    """The call is wrong; nothing has run."""


def parser() -> argparse.ArgumentParser:
    """All options of ``check-sampler``."""
    made = argparse.ArgumentParser(
        prog="check-sampler",
        description="Decide whether diffusion samplers are the ones that their papers define.",
        epilog="exit status: 0 conforms; 1 does not, or a check could not judge; 2 the call is wrong; "
        "3 something could not be run. With --identify: 0 named exactly; 1 not. "
        "With --model: 0 nothing found; 1 a cause is named; 2 the call is wrong, also "
        "where frames are in other units or model, loader or data raise; 3 it cannot be told yet",
        allow_abbrev=False,
    )
    made.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="module:name, path/file.py:name, path/file.py (all in it), diffusers:NAME, k_diffusion:sample_x, "
        "nvlabs_edm:PATH.py:NAME or guided_diffusion:PATH.py:NAME",
    )
    made.add_argument("--device", default="cpu", help="any torch device (default: cpu)")
    made.add_argument(
        "--require-device",
        action="store_true",
        help="a device that is missing is a failure: exit status 1 instead of 3",
    )
    made.add_argument(
        "--budget",
        choices=BUDGETS,
        default="standard",
        help="how much is run: about 3,000, 30,000 or 1,000,000 model calls (default: standard)",
    )
    made.add_argument("--html", metavar="FILE", help="write what was found as one self-contained page, with pictures")
    made.add_argument("--trajectory", metavar="FILE.png", help="draw one run beside the reference's")
    made.add_argument(
        "--no-diagnosis", action="store_true", help="do not look for what a sampler that fails does instead"
    )
    made.add_argument("--json", metavar="FILE", help="write all verdicts as JSON; - for standard output")
    made.add_argument("--against", metavar="TARGET|FILE", help="hold against another sampler, or a law from --save-law")
    made.add_argument("--save-law", metavar="FILE", help="write the measured law, to hold later versions against")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting for the adapter; with --model a field that you sample with; repeatable",
    )
    made.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="ID",
        help="run only this check (law/noise) or family (law); repeatable, or with commas",
    )
    gate = made.add_argument_group("in pull requests")
    gate.add_argument("--baseline", metavar="FILE", help="deviations that are known, in TOML; others are failures")
    gate.add_argument(
        "--write-baseline", action="store_true", help="add what fails today to that file, to be given reasons"
    )
    gate.add_argument("--checks-as-of", metavar="X.Y", help="only the checks that this version of sampler-harness had")
    gate.add_argument("--changed-since", metavar="REV", help="only targets whose code may have changed since then")
    why = made.add_argument_group("why are my details fading?")
    why.add_argument("--model", metavar="TARGET", help="a loader: load(checkpoint or None) -> model(x, time)")
    why.add_argument("--data", metavar="TARGET", help="frames that samples should look like, or a function of none")
    why.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="for the loader, the earliest first; repeatable",
    )
    why.add_argument("--steps", type=int, metavar="N", help="the number of steps that you sample with")
    made.add_argument(
        "--identify",
        action="store_true",
        help="say what TARGET is, which need not be declared: process, grid, method and fields that have its law",
    )
    made.add_argument("--list-checks", action="store_true", help="print all checks and what each claims")
    made.add_argument(
        "--explain", metavar="ID", help="tell more of a check, with a failure, or of a reference's fields"
    )
    made.add_argument(
        "--init",
        metavar="FILE[:NAME]",
        help="write the test file for a sampler or a grid, with TODOs where its source tells too little",
    )
    made.add_argument("--list-references", action="store_true", help="print all references and their fields")
    return made


def settings(given: Sequence[str]) -> dict[str, Any]:
    """What ``--set`` gave, as Python values.

    Args:
        given: ``key=value`` each.

    Raises:
        UsageError: where one is not.
    """
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {one}: write --set key=value")
        found[key] = _value(value)
    return found


def _value(text: str) -> Any:
    """A number, a truth value, None or a JSON list where the text is one; else the text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def chosen_checks(given: Sequence[str]) -> frozenset[str] | None:
    """The checks that ``--check`` names, one by one or by family; None for all.

    Args:
        given: as typed, with or without commas.

    Raises:
        UsageError: where there is no such check.
    """
    if not given:
        return None
    known = tuple(id for kind in KINDS for id in check_ids(kind))
    families = {id.partition("/")[0] for id in known}
    chosen: set[str] = set()
    for name in (part.strip() for one in given for part in one.split(",")):
        family = name.removesuffix("/*").removesuffix("/")
        if name in known:
            chosen.add(name)
        elif family in families:
            chosen.update(id for id in known if id.startswith(f"{family}/"))
        else:
            near = did_you_mean(name, [*known, *families])
            raise UsageError(f"there is no check {name!r}{near} (--list-checks prints all)")
    return frozenset(chosen)
