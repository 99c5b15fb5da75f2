"""``check-sampler --init``: a test file from a sampler's or a grid's signature, with TODOs where it tells too little.

The source is read, never run: importing a stranger's script may start a training.

Context: a first verdict within minutes needs the declaration written for people; a wrong guess costs more than none.
Choice: names that the field uses are translated, each with the reason beside it; all else is a TODO that fails until it
is answered.
Reversed by: samplers that declare themselves.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sampler_harness.arguments import LATENTS, METHODS, MODEL, SHAPE, STEPS, Role, by_name, roles

from .init_file import Sketch, plain_name, text_of

__all__ = ["Sketch", "init", "sketch"]

#: Fields of references that an argument of the same name is.
_FIELDS = {
    "sigma_min", "sigma_max", "rho", "s_churn", "s_tmin", "s_tmax", "s_noise", "eta", "clip_denoised", "shift", "snr",
    "eps", "num_train_timesteps", "beta_start", "beta_end",
}  # fmt: skip
#: What programs call some of them instead.
_OTHERWISE = {"s_min": "s_tmin", "s_max": "s_tmax", "ddim_eta": "eta", "clip": "clip_denoised"}
#: What a field is varied over where the sampler has it as an argument.
_VARIED = {
    "num_steps": "st.integers(2, 40)",
    "s_churn": "st.floats(0.0, 40.0)",
    "eta": "st.floats(0.0, 1.0)",
    "shift": "st.floats(0.5, 3.0)",
    "clip_denoised": "st.booleans()",
}
#: Words in a sampler's source that speak for a reference, the most telling first.
_WORDS = {
    "EDM": ("s_churn", "sigma_hat", "t_hat", "gamma", "karras", "sigma_max", "sigmas", "rho"),
    "DDIM": ("ddim", "eta"),
    "FlowEuler": ("flow", "velocity", "rectified"),
    "ScoreSDE": ("sde", "corrector", "langevin", "predictor", "snr", "score_fn"),
    "DDPM": ("ddpm", "posterior", "p_sample", "betas", "alphas_cumprod", "alpha_bar", "alphas"),
}
#: The same of a grid's source.
_WORDS_OF_GRIDS = {
    "PolyexponentialLevels": ("polyexponential",),
    "ExponentialLevels": ("exponential",),
    "KarrasLevels": ("karras", "rho"),
    "SpacedTimesteps": ("leading", "trailing", "spacing", "num_train_timesteps", "train_timesteps"),
    "EvenTimes": ("shift", "flow", "times"),
}
#: What a function is called that gives levels.
_GRIDS = ("sigmas", "levels", "times", "timesteps", "schedule", "grid")
#: Attributes that released samplers read off their model, and what does no harm.
_ATTRIBUTES = {"sigma_min": "0.0", "sigma_max": 'float("inf")', "round_sigma": "torch.as_tensor"}
#: What any stand-in has.
_MODULE = {"eval", "train", "to", "parameters", "device", "dtype", "training", "cuda", "cpu", "half", "float"}


def init(target: str, out: Path | None = None) -> tuple[Path, Sketch]:
    """Write the test file for a sampler.

    Args:
        target: ``FILE`` or ``FILE:NAME``, where ``NAME`` is a function, ``Class.method``, or a class with one method
            that samples: by its name, or ``__call__``.
        out: the file; None for ``test_NAME.py`` in the present folder.

    Returns:
        The file that was written, and what it was written from.

    Raises:
        ValueError: when there is no such sampler, or the file is there already.
    """
    found = sketch(target)
    place = out or Path(f"test_{plain_name(found.name)}.py")
    if place.exists():
        raise ValueError(f"{place} is there already: move it away, or edit it")
    place.write_text(text_of(found), encoding="utf-8")
    return place, found


def sketch(target: str) -> Sketch:
    """Read a sampler's signature and source.

    Args:
        target: ``FILE`` or ``FILE:NAME``.

    Raises:
        ValueError: when there is no such file or function, or several and none is named.
    """
    path, _, name = target.partition(":")
    file = Path(path)
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no Python source: {error}") from error
    functions = dict(_functions(tree))
    if name in functions:
        return _read(file, name, functions, tree)
    owned = {n: node for n, node in functions.items() if n.partition(".")[0] == name and "." in n}
    if name and not owned:
        raise ValueError(f"{file} has no function {name!r}; it has {', '.join(functions) or 'none'}")
    found = owned or functions
    likely = [n for n in found if any(word in n.rpartition(".")[2].lower() for word in ("sampl", "generate"))]
    likely = likely or [n for n in owned if len(owned) == 1 or n.endswith(".__call__")]
    likely = likely or [n for n, node in found.items() if _is_grid(n, node) and any(word in n for word in _GRIDS)]
    if len(likely) != 1:
        which = (
            f"several ({', '.join(likely)})" if likely else f"none by its name ({', '.join(found) or 'no function'})"
        )
        where = f"{name}.METHOD" if owned else "NAME"
        raise ValueError(f"which function of {file} is the sampler? {which}: name it, --init {file}:{where}")
    return _read(file, likely[0], functions, tree)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions by name, and methods of classes with those that they inherit within the file."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for name, inner in _methods(node, classes).items():
                if not name.startswith("_") or name == "__call__":
                    yield f"{node.name}.{name}", inner


def _methods(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, ast.FunctionDef]:
    """A class's methods, own ones before those of its bases in the same file."""
    found = {inner.name: inner for inner in node.body if isinstance(inner, ast.FunctionDef)}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes and base.id != node.name:
            found = _methods(classes[base.id], {n: c for n, c in classes.items() if n != node.name}) | found
    return found


def _read(file: Path, name: str, functions: dict[str, ast.FunctionDef], tree: ast.Module) -> Sketch:
    found, node = Sketch(file, name, is_grid=_is_grid(name, functions[name])), functions[name]
    classes = {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    owner = name.partition(".")[0] if "." in name else ""
    methods = _methods(classes[owner], classes) if owner else {}
    built_by = methods.get("__init__")
    words = _WORDS_OF_GRIDS if found.is_grid else _WORDS
    found.reference = _reference(node, words)
    if not found.reference:
        known = ", ".join(words)
        found.todo.append(f"name the reference, one of {known} (check-sampler --list-references)")
    sources = [*methods.values()] if owner else [node]
    model = _model_text(sources)
    if built_by is not None:
        found.build = _arguments(found, built_by, model, classes, in_class=True)
        _model_attributes(found, built_by)
    found.call = _arguments(found, node, model, classes, in_class=bool(owner))
    written = [*found.call, *(found.build or [])]
    has_model = any(text.rpartition("=")[2].startswith("model") for text in written)
    if owner and (found.build is None or not (has_model or found.is_grid)):
        found.todo.insert(0, f"build your {owner} here, with `model` in place of its network")
    _model_attributes(found, node)
    found.returns_tuple = any(isinstance(n, ast.Return) and isinstance(n.value, ast.Tuple) for n in _own(node))
    if found.is_grid:
        return found
    in_double = any(isinstance(n, ast.Attribute) and n.attr in ("float64", "double") for n in ast.walk(node))
    if in_double and not _casts_back(node):
        found.declared["output_dtype"] = "torch.float64"
    return found


def _casts_back(node: ast.FunctionDef) -> bool:
    """Whether a sampler is told its dtype, or returns what it made another dtype of."""
    told = any(argument.arg == "dtype" for argument in [*node.args.args, *node.args.kwonlyargs])
    returned = [one.value for one in _own(node) if isinstance(one, ast.Return) and one.value is not None]
    casts = [one.attr for value in returned for one in ast.walk(value) if isinstance(one, ast.Attribute)]
    return told or any(name in ("to", "float", "type_as", "astype") for name in casts)


def _model_text(sources: Iterable[ast.FunctionDef]) -> str:
    """The stand-in as the sampler calls it: by itself, or by a method of its network."""
    for node in sources:
        for call in (
            one for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
        ):
            assert isinstance(call.func, ast.Attribute)
            whose, method = call.func.value, call.func.attr
            known = whose.id if isinstance(whose, ast.Name) else whose.attr if isinstance(whose, ast.Attribute) else ""
            if known in MODEL and method in METHODS:
                return f'model.method("{method}")'
    return "model"


def _own(node: ast.FunctionDef) -> Iterator[ast.AST]:
    """A function's nodes without those of functions inside of it."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        yield one
        if not isinstance(one, (ast.FunctionDef, ast.Lambda)):
            waiting += list(ast.iter_child_nodes(one))


def _is_grid(name: str, node: ast.FunctionDef) -> bool:
    """Whether a function gives levels: it is told a number of steps, and neither a model nor a sample."""
    told = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    asked = {one.func.id for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)}
    return bool(told & STEPS) and not told & (MODEL | LATENTS | SHAPE) and not asked & MODEL and "." not in name


def _reference(node: ast.FunctionDef, told_by: Mapping[str, Sequence[str]]) -> str:
    """The reference that most of a source's names speak for."""
    names = [
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))
    ]
    names += [argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)] + [node.name]
    lower = {name.lower() for name in names}
    scores = {
        reference: sum(
            any(word == name or word in name.split("_") or (len(word) > 4 and word in name) for name in lower)
            for word in words
        )
        for reference, words in told_by.items()
    }
    best = max(scores, key=lambda reference: scores[reference])
    return best if scores[best] else ""


def _arguments(
    found: Sketch, node: ast.FunctionDef, model: str, classes: dict[str, ast.ClassDef], *, in_class: bool
) -> list[str]:
    """The arguments of a call, as text; ``self`` is left out."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(arguments) - len(node.args.defaults))
    defaults += node.args.defaults
    written: list[str] = []
    known = roles(node)
    for argument, default in list(zip(arguments, defaults, strict=True))[1 if in_class else 0 :]:
        options = _options(found, argument, classes)
        if options is not None:
            written.append(f"{argument.arg}={options}" if written else options)
            continue
        _argument(found, written, argument.arg, default, model, known.get(argument.arg), is_named=False)
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        _argument(found, written, argument.arg, default, model, known.get(argument.arg), is_named=True)
    return written


def _options(found: Sketch, argument: ast.arg, classes: dict[str, ast.ClassDef]) -> str | None:
    """A dataclass of settings that the same file defines, built from its fields; None for any other argument."""
    kind = classes.get(argument.annotation.id) if isinstance(argument.annotation, ast.Name) else None
    marks = [ast.unparse(mark) for mark in kind.decorator_list] if kind is not None else []
    if kind is None or not any(mark.partition("(")[0].endswith("dataclass") for mark in marks):
        return None
    written: list[str] = []
    for field_of in kind.body:
        if isinstance(field_of, ast.AnnAssign) and isinstance(field_of.target, ast.Name):
            name = field_of.target.id
            _argument(found, written, name, field_of.value, "model", by_name(name), is_named=True)
    found.settings[argument.arg] = (kind.name, written)
    return argument.arg


def _argument(
    found: Sketch,
    written: list[str],
    name: str,
    default: ast.expr | None,
    model: str,
    role: Role | None,
    *,
    is_named: bool,
) -> None:
    lower = name.lower()
    fields = _fields_of(found.reference)
    known = _OTHERWISE.get(lower, lower)
    if role == "model":
        text = model
    elif (role == "latents" or name == "x_start") and default is None:
        text = "torch.randn(shape, device=device, dtype=dtype)"
    elif role == "shape":
        text = "shape"
    elif role == "item_shape":
        text = "shape[1:]"
    elif role == "items" or lower == "batch_size":
        text = "shape[0]"
    elif lower in ("device", "dtype", "generator"):
        text = lower
        if lower == "generator":
            found.declared["takes_generator"] = "True"
    elif role == "steps" and "num_steps" in fields:
        text = "config.num_steps"
        found.declared["num_steps"] = _VARIED["num_steps"]
    elif name == "order" and found.reference == "EDM":
        text = '2 if config.solver == "heun" else 1'
        found.declared["solver"] = 'st.sampled_from(["heun", "euler"])'
    elif known in _FIELDS and known in fields:
        text = f"config.{known}"
        if known in _VARIED:
            found.declared[known] = _VARIED[known]
    elif default is not None:
        found.left.append(name)  # its own default will do
        return
    else:
        text = f"TODO_{name}"
        found.todo.append(
            f"what is {name!r}? config.… where it is a field of the reference, else a value (any, for conditioning)"
        )
    written.append(f"{name}={text}" if is_named or written or default is not None else text)


def _fields_of(reference: str) -> set[str]:
    """Names of a reference's fields; none where no reference is known."""
    import reference_samplers.grids

    known = vars(reference_samplers).get(reference) or vars(reference_samplers.grids).get(reference)
    return set() if known is None else {field.name for field in dataclasses.fields(known)}


def _model_attributes(found: Sketch, node: ast.FunctionDef) -> None:
    """Attributes that the sampler reads off its model, but does not call the model by."""
    models = {name for name, role in roles(node).items() if role == "model"}
    asked = {
        n.attr
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in models
    } - {*METHODS}
    given = {}
    for name in sorted(asked - _MODULE):
        given[name] = _ATTRIBUTES.get(name, "...")
        if name not in _ATTRIBUTES:
            found.todo.append(f"what does your sampler read as model.{name}? put its value into model_attributes")
    if given:
        found.declared["model_attributes"] = "{" + ", ".join(f'"{n}": {value}' for n, value in given.items()) + "}"
