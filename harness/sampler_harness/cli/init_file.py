"""The test file that ``check-sampler --init`` writes, from what a source tells."""

from __future__ import annotations

import keyword
import sys
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Sketch", "plain_name", "text_of"]


@dataclass
class Sketch:
    """What a sampler's source tells.

    Attributes:
        file: the source.
        name: of the function, or ``Class.method``.
        reference: the likeliest one; empty where nothing speaks for any.
        call: the arguments of the call, as text.
        build: those of its class, as text; None where there is no class, or none of its own.
        settings: per argument the dataclass of the same file that it is, and what that is built with.
        declared: fields and options of the declaration, as text.
        todo: what a person must answer.
        left: arguments that keep the sampler's own default.
        returns_tuple: whether the sample is the first of several.
        is_grid: whether it gives levels, and no samples.
    """

    file: Path
    name: str
    reference: str = ""
    call: list[str] = field(default_factory=list)
    build: list[str] | None = None
    settings: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    returns_tuple: bool = False
    is_grid: bool = False


def text_of(found: Sketch) -> str:
    """The test file of a sampler, or of a grid.

    Args:
        found: what its source tells.
    """
    owner, _, method = found.name.partition(".")
    reference = found.reference or "TODO_REFERENCE"
    lines = _grid_head(found, reference) if found.is_grid else _sampler_head(found, reference)
    for name, (kind, given) in found.settings.items():
        lines.append(f"    {name} = {kind}(\n" + "".join(f"        {one},\n" for one in given) + "    )")
    built = "TODO_how_it_is_built" if found.build is None else ", ".join(found.build)
    called = owner if not method else f"{owner}({built})" + ("" if method == "__call__" else f".{method}")
    arguments = "".join(f"        {argument},\n" for argument in found.call)
    lines.append(f"    return {called}(\n{arguments}    ){'[0]' if found.returns_tuple else ''}")
    return "\n".join(lines) + "\n"


def _sampler_head(found: Sketch, reference: str) -> list[str]:
    """All above what is called, for a sampler."""
    lines = _imports(found, f"from reference_samplers import {reference}", "sampler")
    generator = ", generator" if "takes_generator" in found.declared else ""
    lines.append(f"def {plain_name(found.name)}_under_test(model, shape, config, *, device, dtype{generator}):")
    lines.append(
        '    """Run the sampler once; `model` stands in for the network. Fields not named above are not varied."""'
    )
    return lines


def _grid_head(found: Sketch, reference: str) -> list[str]:
    """The same for a grid."""
    lines = _imports(found, f"from reference_samplers.grids import {reference}", "grid")
    taken = [name for name in ("device", "dtype") if any(one.rpartition("=")[2] == name for one in found.call)]
    given = f", *, {', '.join(taken)}" if taken else ""
    lines.append(f"def {plain_name(found.name)}_under_test(config{given}):")
    lines.append('    """Return the levels of one run, with the last one. Fields not named above are not varied."""')
    return lines


def _imports(found: Sketch, importing: str, kind: str) -> list[str]:
    """What is imported and declared, up to the function."""
    module, root = _imported_as(found.file)
    owner = found.name.partition(".")[0]
    importable = all(part.isidentifier() and not keyword.iskeyword(part) for part in module.split("."))
    reference = found.reference or "TODO_REFERENCE"
    lines = [
        f'"""Is {found.name} of {found.file} the {kind} that its paper defines? pytest and check-sampler decide."""',
        "",
    ]
    if root is not None:
        lines += ["import sys", ""]
    lines += ["import torch"] if kind == "sampler" else []
    lines += ["from hypothesis import strategies as st", ""]
    lines += [importing, f"from sampler_harness import {kind}_under_test", ""]
    if root is not None:
        lines.append(f"sys.path.insert(0, {str(root)!r})")
    lines.append(
        f"from {module} import {', '.join([owner, *dict.fromkeys(kind for kind, _ in found.settings.values())])}"
        + ("" if root is None else "  # noqa: E402")
        if importable
        else f"# TODO: {found.file.name} cannot be imported by its name; import {owner} from it here"
    )
    lines += ["", ""]
    lines += [f"# TODO: {todo}" for todo in found.todo]
    if found.left:
        lines.append(f"# At the {kind}'s own default: {', '.join(found.left)}. Pass config.… where one is a field.")
    options = "".join(f"    {name}={value},\n" for name, value in found.declared.items())
    lines.append(f"# What a field of {reference} means, and what else it may be: check-sampler --explain {reference}")
    lines.append(f"@{kind}_under_test(\n    {reference},\n{options})")
    return lines


def _imported_as(file: Path) -> tuple[str, Path | None]:
    """How a file is imported: its module within its packages, and the folder to put on the path; None where it is."""
    parts, folder = [] if file.stem == "__init__" else [file.stem], file.resolve().parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    known = {Path.cwd(), *(Path(place).resolve() for place in sys.path if place)}
    return ".".join(parts), None if folder in known else folder


def plain_name(name: str) -> str:
    """A name for a test of it: ``class_method``.

    Args:
        name: of the function, or ``Class.method``.
    """
    return name.removesuffix(".__call__").replace(".", "_").strip("_").lower()
