"""Pages: one self-contained HTML file each, from a template and what it is to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sampler_harness.report.figures import EXTRA, MissingExtraError

__all__ = ["TEMPLATES", "render_page", "write_page"]

#: Where the templates lie.
TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, **context: Any) -> str:
    """A page as text: nothing in it is fetched from elsewhere.

    Args:
        template: name of a file in ``templates``, as ``monitor.html.j2``; it extends ``base.html.j2``.
        context: what the template shows. Text is escaped; a figure goes in as ``{{ figure | safe }}``.

    Raises:
        MissingExtraError: when Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError(EXTRA) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,  # a name that is missing is a mistake of ours, never an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)


def write_page(text: str, out: str | Path) -> Path:
    """Write a page; its directory is made where it is missing.

    Args:
        text: from :func:`render_page`.
        out: the file.

    Returns:
        The file that was written.

    Raises:
        ValueError: when the file cannot be written, with the reason.
    """
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write the page {path}: {error.strerror or error}") from None
    return path
