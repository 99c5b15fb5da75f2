"""What each argument of a sampling function is: by its name, else by what the function does with it."""

from __future__ import annotations

import ast

import pytest

from sampler_harness.arguments import roles


def roles_of(source: str) -> dict[str, str]:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    return dict(roles(node))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "def f(unet, latents, num_inference_steps=10):\n    return unet(latents, 0)",
            {"unet": "model", "latents": "latents", "num_inference_steps": "steps"},
        ),
        # The argument that is called is the model, whatever it is called.
        (
            "def f(action_head, shape):\n    x = torch.randn(shape)\n    return action_head(x, 0)",
            {"action_head": "model", "shape": "shape"},
        ),
        # Also within a function of its own, and by a method.
        (
            "def f(est, shape):\n    def v(t, x):\n        return est(x, t)\n    return odeint(v, randn(shape))",
            {"est": "model", "shape": "shape"},
        ),
        ("def f(policy, x):\n    return policy.forward(x, 0)", {"policy": "model", "x": "latents"}),
        # One that is only handed on, by the words of its name.
        (
            "def f(velocity_model, x0, t):\n    return odeint(velocity_model, x0, t)",
            {"velocity_model": "model", "x0": "latents"},
        ),
        # What the model is first called with is the sample; what the first noise is drawn in is its shape.
        (
            "def f(model, img, num_steps):\n    for i in range(num_steps):\n        img -= model(img, i)",
            {"model": "model", "img": "latents", "num_steps": "steps"},
        ),
        (
            "def f(model, y):\n    cur = y * 80.0\n    return cur - model(cur, 80.0)",
            {"model": "model", "y": "latents"},
        ),
        (
            "def f(model, audio):\n    x = torch.randn(*audio)\n    return model(x, 0)",
            {"model": "model", "audio": "shape"},
        ),
        ("def f(net, coords_shape=(2, 24, 3)):\n    return make(net, coords_shape)",
         {"net": "model", "coords_shape": "shape"}),
        # A shape beside a number of items is that of one.
        ("def f(model, batch_size=4, data_shape=(3, 8, 8)):\n    return model(torch.randn(batch_size, *data_shape), 0)",
         {"model": "model", "batch_size": "items", "data_shape": "item_shape"}),
        ("def f(model, n_sample, size):\n    return model(torch.randn(n_sample, *size), 0)",
         {"model": "model", "n_sample": "items", "size": "item_shape"}),
        ("def f(model, x, batch_size=4):\n    return model(x, 0)", {"model": "model", "x": "latents"}),
        ("def f(model, x, N_step=20):\n    return model(x, N_step)",
         {"model": "model", "x": "latents", "N_step": "steps"}),
        (
            "def f(head, shape, num_inference_timesteps=4, num_timestep_buckets=1000):\n    return head(shape, 0)",
            {"head": "model", "shape": "shape", "num_inference_timesteps": "steps"},
        ),
    ],
)  # fmt: skip
def test_what_an_argument_is(source: str, expected: dict[str, str]) -> None:
    assert roles_of(source) == expected


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        # Two are called: which of them is the model, nobody can tell.
        ("def f(encode, decode, shape):\n    return decode(encode(torch.randn(shape)), 0)", ("encode", "decode")),
        # A condition is none of the sample: it is handed to the model behind it.
        ("def f(model, x, labels):\n    return model(x, 0, labels)", ("labels",)),
        # What is called and has a default is an option.
        ("def f(model, x, callback=None):\n    callback(x)\n    return model(x, 0)", ("callback",)),
        # A table's length, and how long a model was distilled, are no numbers of steps to run with.
        ("def f(model, x, timesteps=40, original_inference_steps=50):\n    return model(x, 0)",
         ("timesteps", "original_inference_steps")),
        ("def f(model, x, num_train_timesteps=1000):\n    return model(x, 0)", ("num_train_timesteps",)),
        ("def f(model, x, cond_shape):\n    return model(x, 0)", ("cond_shape",)),
        # Beside a sample x0 is data.
        ("def f(model, x, x0):\n    return model(x, 0)", ("x0",)),
        # A sum of the sample and something else is the sample's, and not the other's.
        ("def f(model, x, y):\n    return model(x + y, 0)", ("y",)),
    ],
)  # fmt: skip
def test_what_nobody_can_tell_is_no_role(source: str, unknown: tuple[str, ...]) -> None:
    assert not set(unknown) & set(roles_of(source))
