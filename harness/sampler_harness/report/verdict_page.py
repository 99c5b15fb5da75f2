"""Verdicts as one self-contained page: what is wrong, pictures of it, the lines that differ, and what was checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from sampler_harness.portrait import BROKEN, Portrait
from sampler_harness.verdict import Finding, Verdict
from sampler_harness.wording import counted

from .figures import named_apart
from .filmstrip_figure import filmstrip_figure
from .law_figure import law_figure
from .page import MissingExtraError, render_page, write_page
from .series_figures import noise_figure, times_figure
from .words import (
    BEYOND_MEASURE,
    claim,
    conforming,
    counts,
    first_line,
    headline,
    margin_text,
    noun,
    remedy,
    repair_rows,
    repaired,
    state,
    sureness,
    tells_nothing,
    varied,
)

__all__ = ["verdict_page", "write_verdict_page"]


def verdict_page(verdicts: Sequence[Verdict]) -> str:
    """The page as text.

    Args:
        verdicts: in the order in which their targets were named.

    Raises:
        MissingExtraError: when Jinja2 is not installed.
    """
    states = {state(verdict) for verdict in verdicts}
    return render_page(
        "verdict.html.j2",
        overall="bad" if "bad" in states else "good" if states == {"good"} else "open",
        title=headline(verdicts[0]) if len(verdicts) == 1 else _of_many(verdicts),
        panels=[_panel(verdict, f"sampler-{number}") for number, verdict in enumerate(verdicts)],
        signs=_SIGNS,
        claim=claim,
        headline=headline,
        in_tolerances=_in_tolerances,
        line_kind=_line_kind,
        remedy=remedy,
        row_name=_row_name,
        state=state,
        noun=noun,
        sureness=sureness,
        repaired=repaired,
        repair_rows=repair_rows,
        tells_nothing=tells_nothing,
    )


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
    if not verdicts:
        return "Nothing was checked"
    return conforming(verdicts)


def _panel(verdict: Verdict, name: str) -> dict[str, Any]:
    """What the template shows beside the verdict itself."""
    return {
        "name": name,
        "verdict": verdict,
        "lead": _lead(verdict),
        "pictures": None if verdict.portrait is None else _pictures(verdict, verdict.portrait, name),
        "facts": _facts(verdict),
    }


def _lead(verdict: Verdict) -> str:
    """How much was looked at, under the headline."""
    if verdict.not_run is not None:
        return ""
    told = [f"Checks: {counts(verdict)}."]
    if margin_text(verdict):
        told.append(f"{margin_text(verdict)[:1].upper()}{margin_text(verdict)[1:]}.")
    return " ".join(told)


#: A sign and a word for each outcome: color alone tells nobody anything.
_SIGNS = {
    "passed": ("✓", "passed", "good"),
    "failed": ("✗", "failed", "bad"),
    "error": ("?", "could not judge", "bad"),
    "expected": ("~", "fails as declared", "open"),
    "skipped": ("–", "does not apply", "quiet"),
}


def _in_tolerances(finding: Finding) -> str:
    """How near it came, where it compared numbers."""
    margin = finding.margin
    if margin is None or finding.outcome == "skipped":
        return ""
    if margin > BEYOND_MEASURE:
        return "beyond any tolerance"
    figure = f"{margin:,.0f}" if margin >= 100 else f"{margin:.2g}"
    return f"{figure} times its tolerance" if margin > 1 else f"{figure} of its tolerance"


# Pictures


def _pictures(verdict: Verdict, portrait: Portrait, name: str) -> dict[str, Any]:
    """What a template shows of a portrait; what cannot be drawn becomes a sentence."""
    missing = list(portrait.missing)

    def drawn(what: str, draw: Callable[[], str]) -> str:
        try:
            return named_apart(draw(), f"{name}-{what}")
        except MissingExtraError:
            raise
        except Exception as error:  # a picture is a help: the page is written without it
            missing.append(f"The picture of the {what} could not be drawn: {type(error).__name__}: {error}.")
            return ""

    has_law = portrait.own is not None or portrait.should_be is not None
    strip = portrait.filmstrip
    answer = {
        "portrait": portrait,
        "law": drawn("law", lambda: law_figure(portrait)) if has_law else "",
        "first": _first_row_text(verdict, portrait),
        "constant": any(law.has_constant for law in (portrait.own, portrait.should_be) if law is not None),
        "blocks": _blocks_text(portrait),
        "times": drawn("times", lambda: times_figure(portrait)) if has_law else "",
        "noise": drawn("noise", lambda: noise_figure(portrait)) if has_law else "",
        "noise_text": _noise_text(portrait),
        "run": "" if strip is None else drawn("run", lambda: filmstrip_figure(strip, portrait.reference)),
        "run_text": _run_text(portrait),
        "broken": strip is not None and any(BROKEN in frame for frame in (*strip.own, *strip.reference) if frame),
        "is_image": strip is not None and strip.kind == "image",
    }
    return {**answer, "missing": missing}


def _row_name(portrait: Portrait, row: int) -> str:
    law = portrait.own or portrait.should_be
    return "the returned sample" if law is not None and row == law.calls else f"the input of model call {row}"


def _first_row_text(verdict: Verdict, portrait: Portrait) -> str:
    """What the frame is around, or why there is none."""
    if portrait.own is None or portrait.should_be is None:
        return ""
    if portrait.first_row is not None:
        name = _row_name(portrait, portrait.first_row)
        lead = f"Framed: row {portrait.first_row}, {name}, is the first to differ ({portrait.first_told})."
        last = portrait.first_row >= min(portrait.own.calls, portrait.should_be.calls)
        return lead if last else f"{lead} Rows below it are built on it and inherit what is off."
    if portrait.first_told:
        return f"{portrait.first_told[:1].upper()}{portrait.first_told[1:]}."
    if verdict.bad:
        failing = ", ".join(finding.id for finding in verdict.causes)
        return (
            f"No row differs: what fails ({failing}) does not show in these weights, which are read with very small "
            "values."
        )
    return "No row differs by more than its tolerance."


def _blocks_text(portrait: Portrait) -> str:
    law = portrait.own or portrait.should_be
    if law is None or not law.is_in_blocks or law.calls < len(law.rows):
        return ""
    return (
        f"A run has {law.calls} calls: rows and columns are drawn in {len(law.rows)} blocks, each with the entry of "
        "largest magnitude in it."
    )


def _noise_text(portrait: Portrait) -> str:
    own, should_be = portrait.own, portrait.should_be
    if own is None or should_be is None or own.calls != should_be.calls:
        return ""
    pairs = list(zip(own.fresh, should_be.fresh, strict=False))
    more = sum(mine > 0 and theirs == 0 for mine, theirs in pairs)
    less = sum(mine == 0 and theirs > 0 for mine, theirs in pairs)
    told = []
    if more:
        told.append(f"In {counted(more, 'row')} yours brings in noise where the reference has none.")
    if less:
        told.append(f"In {counted(less, 'row')} yours brings in none where the reference has some.")
    return " ".join(told)


def _run_text(portrait: Portrait) -> str:
    """What became of the details, in a sentence, and how the two runs got their noise."""
    strip = portrait.filmstrip
    if strip is None:
        return ""
    told = ""
    if strip.detail is not None and strip.detail[1] > 0:
        share = strip.detail[0] / strip.detail[1]
        last = strip.apart[-1]
        if last is not None and last < 5e-5:
            told = "Both end in the same sample. "
        else:
            told = f"Differences between neighbors in your sample are {share:.0%} of those in the reference's. "
    return told + strip.noise


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    coverage = verdict.coverage
    wide = "" if coverage.wide_tolerances == "none" else coverage.wide_tolerances
    skipped = [f"{f.id}: {first_line(f.message)}" for f in verdict.findings if f.outcome == "skipped"]
    facts = [
        ("Sampler", verdict.sampler),
        ("Reference", verdict.reference),
        ("Checks", counts(verdict)),
        ("Margin", margin_text(verdict)),
        ("Varied (seen / to be seen)", varied(coverage)),
        ("Not varied, so not checked", ", ".join(coverage.not_varied)),
        ("Not read to 0.1 %, for rounding", wide),
        ("Not applicable", "; ".join(skipped)),
        ("Not run", ", ".join(verdict.missing)),
        ("Measured", f"{coverage.cases} configurations, {coverage.model_calls} model calls"),
        ("Run", f"{verdict.seconds:.1f} s, budget {verdict.budget}, device {verdict.device}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in verdict.versions.items())),
    ]
    return [(name, text) for name, text in facts if text]


def _line_kind(line: str) -> Literal["file", "place", "gone", "come", "same"]:
    """What a line of a diff is."""
    if line.startswith(("---", "+++")):
        return "file"
    if line.startswith("@@"):
        return "place"
    return "gone" if line.startswith("-") else "come" if line.startswith("+") else "same"
