"""Verdicts as one self-contained page: what is wrong, the lines that differ as a diff, and what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sampler_harness.checks.catalogue import info_of
from sampler_harness.verdict import Diagnosis, Explanation, Finding, Verdict

from .page import render_page, write_page
from .terminal import causes, counts, headline, margin_text, sureness

__all__ = ["diagnosis_panel", "verdict_page", "write_verdict_page"]


def verdict_page(verdicts: Sequence[Verdict]) -> str:
    """The page as text.

    Args:
        verdicts: in the order in which their targets were named.

    Raises:
        MissingExtraError: when Jinja2 is not installed.
    """
    faulty = sum(verdict.is_faulty for verdict in verdicts)
    state = "bad" if faulty else ("good" if verdicts and all(v.conforms for v in verdicts) else "open")
    title = headline(verdicts[0]).text if len(verdicts) == 1 else _of_many(verdicts)
    return render_page("verdict.html.j2", state=state, title=title, panels=[_panel(verdict) for verdict in verdicts])


def write_verdict_page(verdicts: Sequence[Verdict], out: str | Path) -> Path:
    """Write the page.

    Args:
        verdicts: in the order in which their targets were named.
        out: the file.

    Returns:
        The file that was written.

    Raises:
        ValueError: when it cannot be written.
        MissingExtraError: when Jinja2 is not installed.
    """
    return write_page(verdict_page(verdicts), out)


def _of_many(verdicts: Sequence[Verdict]) -> str:
    conforming = sum(verdict.conforms for verdict in verdicts)
    return f"{conforming} of {len(verdicts)} conform"


def _panel(verdict: Verdict) -> dict[str, Any]:
    bad = [f for f in verdict.findings if f.outcome in ("failed", "error")]
    reasons = causes(bad)
    return {
        "headline": headline(verdict).text,
        "state": "bad" if verdict.is_faulty else ("good" if verdict.conforms else "open"),
        "causes": [_finding(finding) for finding in reasons],
        "following": [_finding(finding) for finding in bad if finding not in reasons],
        "expected": [_finding(finding) for finding in verdict.findings if finding.outcome == "expected"],
        "diagnosis": None if verdict.diagnosis is None else diagnosis_panel(verdict.diagnosis),
        "facts": _facts(verdict),
        "script": next((f.reproduction for f in [*reasons, *bad] if f.reproduction), ""),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    info = info_of(finding.id)
    return {"id": finding.id, "claim": finding.id if info is None else info.claim, "told": finding.message.splitlines()}


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    coverage = verdict.coverage
    varied = ", ".join(f"{name} {seen}" for name, seen in coverage.fields.items()) or "nothing"
    skipped = [f"{f.id}: {f.message.splitlines()[0]}" for f in verdict.findings if f.outcome == "skipped"]
    facts = [
        ("Sampler", verdict.sampler),
        ("Reference", verdict.reference),
        ("Checks", counts(verdict)),
        ("Margin", margin_text(verdict)),
        ("Varied", varied),
        ("Not varied, so not checked", ", ".join(coverage.not_varied)),
        ("Not applicable", "; ".join(skipped)),
        ("Measured", f"{coverage.cases} configurations, {coverage.model_calls} model calls"),
        ("Run", f"{verdict.seconds:.1f} s, budget {verdict.budget}, device {verdict.device}"),
        ("Not run", verdict.not_run or ""),
        ("Versions", ", ".join(f"{name} {version}" for name, version in verdict.versions.items())),
    ]
    return [(name, text) for name, text in facts if text]


def diagnosis_panel(diagnosis: Diagnosis) -> dict[str, Any]:
    """What a template shows of a diagnosis.

    Args:
        diagnosis: of a sampler that does not conform.
    """
    return {
        "exact": diagnosis.exact,
        "answers": [_explanation(one) for one in diagnosis.answers],
        "near": [_explanation(one) for one in diagnosis.near],
        "declared": [one.summary for one in diagnosis.declared],
        "observed": diagnosis.observed,
        "consequences": diagnosis.consequences,
        "sure": sureness(diagnosis),
    }


def _explanation(one: Explanation) -> dict[str, Any]:
    return {
        "summary": one.summary,
        "diff": [(_kind(line), line) for line in one.diff.splitlines()],
        "effects": one.effects,
        "happened": [_place(text) for text in one.happened],
    }


def _kind(line: str) -> Literal["file", "place", "gone", "come", "same"]:
    if line.startswith(("---", "+++")):
        return "file"
    if line.startswith("@@"):
        return "place"
    return "gone" if line.startswith("-") else "come" if line.startswith("+") else "same"


def _place(text: str) -> dict[str, str]:
    """A citation and where it leads."""
    told, _, url = text.rpartition(", ")
    return {"told": told, "url": url} if url.startswith("https://") else {"told": text, "url": ""}
