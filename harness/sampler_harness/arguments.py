"""What each argument of a sampling function is: by its name, else by what the function does with it.

Context: people call a model ``velocity_model``, ``action_head`` or ``distiller``, and no list of names has them all.
Choice: names that the field uses say it; where they do not, the source does: what is called is the model, what it is
first called with is the sample, what noise is drawn in is the shape. Where two would do, it is not known.
Reversed by: an argument that was taken for another one.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

__all__ = [
    "ITEMS",
    "LATENTS",
    "LEVELS",
    "METHODS",
    "MODEL",
    "SHAPE",
    "STEPS",
    "TIMES",
    "Role",
    "by_name",
    "roles",
    "roles_of",
]

Role = Literal["model", "latents", "shape", "items", "item_shape", "steps", "levels", "times"]

MODEL = {
    "model", "net", "network", "unet", "transformer", "denoiser", "denoise_fn", "denoise", "model_fn", "score_model",
    "score_fn", "eps_model", "noise_pred_net", "diffusion_model",
}  # fmt: skip
LATENTS = {"latents", "latent", "x", "x_t", "x_T", "xt", "noise", "x_init", "init_noise", "z", "sample"}
SHAPE = {"shape", "size", "sample_shape"}
#: How many items a sample has, where its shape is that of one.
ITEMS = {"batch_size", "bs", "n_sample", "n_samples", "num_samples", "num_images", "n_images"}
STEPS = {
    "num_steps", "steps", "n_steps", "num_inference_steps", "sample_steps", "ddim_steps", "num_steps_denoising",
    "sampling_timesteps", "num_sample_steps", "nfe", "N", "n", "S",
}  # fmt: skip
#: Arguments for the levels themselves: noise levels, and times of a flow.
LEVELS = {"sigmas", "levels", "t_steps"}
TIMES = {"ts", "times", "t_grid", "t_span", "time_grid", "time_span"}
#: What a network's own methods are called.
METHODS = ("denoise", "predict", "apply_model", "forward", "score", "velocity", "epsilon", "eps")

#: Words in the name of a model that is only handed on.
_MODEL_WORDS = {
    "model", "net", "network", "unet", "transformer", "denoiser", "dit", "velocity", "distiller", "estimator", "policy",
    "backbone", "field", "drift", "score", "func",
}  # fmt: skip
#: What a run is begun with, where it is only handed on. Of a function that has a sample too they are data.
_BEGUN_WITH = {"x0", "x_0", "y0", "img", "images", "init", "initial_noise"}
#: What a number of steps is called beside :data:`STEPS`. Bare ``timesteps`` is the length of a table in many programs.
_STEPS = re.compile(
    r"(num|n|number_of)_?(steps?|denoising_steps|timesteps_(inference|sampling))"
    r"|((num|n|number_of)_)?(inference|sampling|sample|sampler|denoising|diffusion|flow|ode|sde|euler|integration|solver"
    r"|generation)_(steps?|timesteps)",
    re.IGNORECASE,
)
#: Calls that make a sample from its shape.
_DRAWS = ("randn", "normal", "zeros", "empty", "ones")

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def roles_of(function: Callable[..., Any]) -> Mapping[str, Role]:
    """What each argument of a function is, as far as it is known.

    Args:
        function: whose source is read, never run; without one its names must do.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return {name: role for name in inspect.signature(function).parameters if (role := by_name(name))}
    node = next((one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)), None)
    names = inspect.signature(function).parameters
    return {name: role for name, role in (roles(node) if node is not None else {}).items() if name in names}


def roles(node: ast.FunctionDef) -> dict[str, Role]:
    """What each argument is, as far as it is known.

    Args:
        node: the function's source.
    """
    arguments = dict(_arguments(node))
    found: dict[str, Role] = {name: role for name in arguments if (role := by_name(name))}

    def unknown(*, required: bool) -> list[str]:
        return [name for name, needed in arguments.items() if name not in found and (needed or not required)]

    if "model" not in found.values():
        candidates = unknown(required=True)
        called = [name for name in candidates if any(_calls(node, name))]
        handed_on = [name for name in candidates if _MODEL_WORDS & set(name.lower().split("_"))]
        _add(found, called or handed_on, "model")
    model = next((name for name, role in found.items() if role == "model"), "")
    if not {"latents", "shape"} & set(found.values()):
        drawn = [name for name in unknown(required=True) if _is_drawn_in(node, name)]
        first = [name for name in unknown(required=True) if name in _first_inputs(node, model)]
        _add(found, drawn, "shape")
        if "shape" not in found.values():
            begun = [name for name in unknown(required=True) if name.lower() in _BEGUN_WITH]
            _add(found, first or begun, "latents")
        if not {"latents", "shape"} & set(found.values()):
            _add(found, [name for name in unknown(required=False) if name.lower().endswith("_shape")], "shape")
    if "steps" not in found.values():
        _add(found, [name for name in unknown(required=False) if _STEPS.fullmatch(name)], "steps")
    for name in arguments:
        if name in ITEMS and "shape" in found.values():
            found[name] = "items"
    if "items" in found.values():
        return {name: "item_shape" if role == "shape" else role for name, role in found.items()}
    return found


def by_name(name: str) -> Role | None:
    """What an argument is that the field calls so; None where its name does not say it.

    Args:
        name: of the argument.
    """
    known: tuple[tuple[Role, set[str]], ...] = (
        ("model", MODEL), ("latents", LATENTS), ("shape", SHAPE), ("steps", STEPS), ("levels", LEVELS),
        ("times", TIMES),
    )  # fmt: skip
    return next((role for role, names in known if name in names), None)


def _add(found: dict[str, Role], names: list[str], role: Role) -> None:
    """One argument may have the role; of several none is known to."""
    if len(names) == 1:
        found[names[0]] = role


def _arguments(node: ast.FunctionDef) -> Iterator[tuple[str, bool]]:
    """Names, and whether a caller must give them."""
    placed = [*node.args.posonlyargs, *node.args.args]
    first_with_default = len(placed) - len(node.args.defaults)
    for i, one in enumerate(placed):
        if not (i == 0 and one.arg in ("self", "cls")):
            yield one.arg, i < first_with_default
    for one, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        yield one.arg, default is None


def _calls(node: ast.AST, name: str) -> Iterator[ast.Call]:
    """Calls of an argument, or of a network's method on it."""
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        called = one.func
        if isinstance(called, ast.Attribute) and called.attr in METHODS:
            called = called.value
        if isinstance(called, ast.Name) and called.id == name:
            yield one


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _first_inputs(node: ast.FunctionDef, model: str) -> set[str]:
    """Names that the model is called with in the first place, and those that they are first made from."""
    inputs = {call.args[0].id for call in _calls(node, model) if call.args and isinstance(call.args[0], ast.Name)}
    made: dict[str, ast.expr] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name):
            made.setdefault(one.targets[0].id, one.value)
    arguments = {name for name, _ in _arguments(node)}
    waiting = [name for name in inputs if name not in arguments]
    seen = set(waiting)
    while waiting:
        if (value := made.get(waiting.pop())) is None:
            continue
        fresh = _names(value) - seen
        seen |= fresh
        inputs |= fresh & arguments
        waiting += fresh - arguments
    return inputs


def _is_drawn_in(node: ast.AST, name: str) -> bool:
    """Whether a sample is made in a shape of that name."""
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        called = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
        given = [*one.args, *(word.value for word in one.keywords if word.arg in ("size", "shape"))]
        bare = [value.value if isinstance(value, ast.Starred) else value for value in given]
        if called in _DRAWS and any(isinstance(value, ast.Name) and value.id == name for value in bare):
            return True
    return False
