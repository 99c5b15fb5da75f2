"""Pages: one self-contained HTML file each, from a template and what it is to show; and what they need installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["EXTRA", "TEMPLATES", "MissingExtraError", "render_page", "require_extra", "write_page"]

#: What to tell whoever lacks a package that the page needs.
EXTRA = "the page needs matplotlib and Jinja2: pip install 'sampler-harness[report]'"
#: Where the templates lie.
TEMPLATES = Path(__file__).parent / "templates"


class MissingExtraError(ImportError):
    """A package of the extra ``report`` is not installed; the message is one sentence for a person."""


def require_extra(packages: Sequence[str] = ("jinja2", "matplotlib")) -> None:
    """Refuse what needs the extra ``report`` before anything runs.

    Args:
        packages: what is needed of it; nothing is imported.

    Raises:
        MissingExtraError: when one of them is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in packages):
        raise MissingExtraError(EXTRA)


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


def write_page(content: str | bytes, out: str | Path, *, what: str = "page") -> Path:
    """Write a page, or a picture; its directory is made where it is missing.

    Args:
        content: from :func:`render_page`, or of an image file.
        out: the file.
        what: it is called where it cannot be written.

    Returns:
        The file that was written.

    Raises:
        ValueError: when the file cannot be written, with the reason.
    """
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    except OSError as error:
        raise ValueError(f"cannot write the {what} {path}: {error.strerror or error}") from None
    return path
