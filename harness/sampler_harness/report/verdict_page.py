"""Verdicts as one self-contained page: what is wrong, pictures of it, the lines that differ, and what was checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from sampler_harness.checks.catalogue import info_of
from sampler_harness.portrait import BROKEN, Entry, Portrait
from sampler_harness.verdict import Diagnosis, Explanation, Finding, Verdict

from .figures import MissingExtraError, named_apart
from .filmstrip_figure import filmstrip_figure
from .law_figure import law_figure, noise_figure, times_figure
from .page import render_page, write_page
from .terminal import BEYOND_MEASURE, causes, counts, headline, margin_text, remedy, sureness

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
    panels = [_panel(verdict, f"sampler-{number}") for number, verdict in enumerate(verdicts)]
    return render_page("verdict.html.j2", state=state, title=title, panels=panels)


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
    conforming = sum(verdict.conforms for verdict in verdicts)
    return f"{conforming} of {len(verdicts)} conform"


def _panel(verdict: Verdict, name: str) -> dict[str, Any]:
    bad = [f for f in verdict.findings if f.outcome in ("failed", "error")]
    reasons = causes(bad)
    return {
        "name": name,
        "headline": headline(verdict).text,
        "lead": _lead(verdict),
        "state": _state(verdict),
        "causes": [_finding(finding) for finding in reasons],
        "following": [_finding(finding) for finding in bad if finding not in reasons],
        "expected": [_finding(finding) for finding in verdict.findings if finding.outcome == "expected"],
        "deviations": verdict.deviations,
        "diagnosis": None if verdict.diagnosis is None else diagnosis_panel(verdict.diagnosis),
        "moved": verdict.moved,
        "pictures": None if verdict.portrait is None else _pictures(verdict, verdict.portrait, name),
        "checks": [_checked(finding) for finding in verdict.findings],
        "facts": _facts(verdict),
        "not_run": verdict.not_run,
    }


def _lead(verdict: Verdict) -> str:
    """How much was looked at, under the headline."""
    if verdict.not_run is not None:
        return ""
    told = [f"Checks: {counts(verdict)}."]
    if margin_text(verdict):
        told.append(f"{margin_text(verdict)[:1].upper()}{margin_text(verdict)[1:]}.")
    return " ".join(told)


def _state(verdict: Verdict) -> str:
    return "bad" if verdict.is_faulty else ("good" if verdict.conforms else "open")


def _finding(finding: Finding) -> dict[str, Any]:
    info = info_of(finding.id)
    return {
        "id": finding.id,
        "word": "failed" if finding.outcome == "failed" else "could not judge",
        "claim": finding.id if info is None else info.claim,
        "told": finding.message.splitlines(),
        "try": remedy(finding),
        "script": finding.reproduction,
    }


#: A sign and a word for each outcome: color alone tells nobody anything.
_SIGNS = {
    "passed": ("✓", "passed", "good"),
    "failed": ("✗", "failed", "bad"),
    "error": ("?", "could not judge", "bad"),
    "expected": ("~", "fails as declared", "open"),
    "skipped": ("–", "does not apply", "quiet"),
}


def _checked(finding: Finding) -> dict[str, Any]:
    info = info_of(finding.id)
    sign, word, style = _SIGNS[finding.outcome]
    margin = "" if finding.margin is None or finding.outcome == "skipped" else _in_tolerances(finding.margin)
    claim = finding.id if info is None else info.claim
    return {"id": finding.id, "sign": sign, "word": word, "style": style, "claim": claim, "margin": margin}


def _in_tolerances(margin: float) -> str:
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
        "configuration": portrait.configuration,
        "shape": " × ".join(str(size) for size in portrait.shape),
        "dtype": portrait.dtype,
        "reference": portrait.reference,
        "why": portrait.why,
        "law": drawn("law", lambda: law_figure(portrait)) if has_law else "",
        "first": _first_row_text(verdict, portrait),
        "worst": [_entry(portrait, entry) for entry in portrait.worst],
        "late": len(portrait.late),
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
    bad = causes([f for f in verdict.findings if f.outcome in ("failed", "error")])
    if bad:
        return (
            f"No row differs: what fails ({', '.join(f.id for f in bad)}) does not show in these weights, which are "
            "read with very small values."
        )
    return "No row differs by more than its tolerance."


def _entry(portrait: Portrait, entry: Entry) -> dict[str, str]:
    times = "beyond measure" if entry.ratio >= 1e6 else f"{entry.ratio:,.3g}" if entry.ratio < 1000 else ">1,000"
    name = _row_name(portrait, entry.row)
    return {
        "row": f"{entry.row}",
        "name": name,
        "part": entry.part,
        "got": f"{entry.got:.6g}",
        "should_be": f"{entry.should_be:.6g}",
        "ratio": times,
    }


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
        told.append(f"In {_many(more, 'row')} yours brings in noise where the reference has none.")
    if less:
        told.append(f"In {_many(less, 'row')} yours brings in none where the reference has some.")
    return " ".join(told)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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
    varied = ", ".join(f"{name} {seen}" for name, seen in coverage.fields.items()) or "nothing"
    # A pair needs two varied fields.
    pairs = "" if coverage.pairs.endswith("/0") else f"; pairs of values {coverage.pairs}"
    wide = "" if coverage.wide_tolerances == "none" else coverage.wide_tolerances
    skipped = [f"{f.id}: {f.message.splitlines()[0]}" for f in verdict.findings if f.outcome == "skipped"]
    facts = [
        ("Sampler", verdict.sampler),
        ("Reference", verdict.reference),
        ("Checks", counts(verdict)),
        ("Margin", margin_text(verdict)),
        ("Varied (seen / to be seen)", f"{varied}{pairs}"),
        ("Not varied, so not checked", ", ".join(coverage.not_varied)),
        ("Not read to 0.1 %, for rounding", wide),
        ("Not applicable", "; ".join(skipped)),
        ("Not run", ", ".join(verdict.missing)),
        ("Measured", f"{coverage.cases} configurations, {coverage.model_calls} model calls"),
        ("Run", f"{verdict.seconds:.1f} s, budget {verdict.budget}, device {verdict.device}"),
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
        "happened": [{"told": place.told, "url": place.url} for place in one.happened],
    }


def _kind(line: str) -> Literal["file", "place", "gone", "come", "same"]:
    if line.startswith(("---", "+++")):
        return "file"
    if line.startswith("@@"):
        return "place"
    return "gone" if line.startswith("-") else "come" if line.startswith("+") else "same"
