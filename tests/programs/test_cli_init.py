"""``check-sampler --init``: a test file from a signature, which decides as it stands where the names tell enough."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sampler_harness.cli import main
from sampler_harness.cli.init import sketch

#: Shaped like the sampler that the EDM paper was released with.
RELEASED = """
import numpy as np
import torch


def edm_sampler(
    net, latents, class_labels=None, randn_like=torch.randn_like,
    num_steps=18, sigma_min=0.002, sigma_max=80, rho=7, S_churn=0, S_min=0, S_max=float("inf"), S_noise=1,
):
    sigma_min = max(sigma_min, net.sigma_min)
    sigma_max = min(sigma_max, net.sigma_max)
    i = torch.arange(num_steps, dtype=torch.float64, device=latents.device)
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    t_steps = (ends[0] + i / (num_steps - 1) * (ends[1] - ends[0])) ** rho
    t_steps = torch.cat([net.round_sigma(t_steps), torch.zeros_like(t_steps[:1])])
    x_next = latents.to(torch.float64) * t_steps[0]
    for i, (t_cur, t_next) in enumerate(zip(t_steps[:-1], t_steps[1:])):
        gamma = min(S_churn / num_steps, np.sqrt(2) - 1) if S_min <= t_cur <= S_max else 0
        t_hat = net.round_sigma(t_cur + gamma * t_cur)
        x_hat = x_next + (t_hat ** 2 - t_cur ** 2).sqrt() * S_noise * randn_like(x_next)
        d_cur = (x_hat - net(x_hat, t_hat, class_labels).to(torch.float64)) / t_hat
        x_next = x_hat + (t_next - t_hat) * d_cur
        if i < num_steps - 1:
            d_prime = (x_next - net(x_next, t_next, class_labels).to(torch.float64)) / t_next
            x_next = x_hat + (t_next - t_hat) * (0.5 * d_cur + 0.5 * d_prime)
    return x_next
"""

RELEASES = Path(__file__).parents[2] / "fixtures" / "released"

LOOP = """
class Diffusion:
    def ddim_sample(self, model, shape, eta=0.0, steps=50, guidance=None, *, generator):
        x = torch.randn(shape, generator=generator) * model.scale
        return x, [x]

    def training_loss(self, x):
        return x
"""


POLICY = """
def infer(action_head, img, num_inference_timesteps=4):
    for i in range(num_inference_timesteps):
        velocity = action_head(img, i / num_inference_timesteps)
        img = img + velocity / num_inference_timesteps
    return img
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_model_is_what_is_called_whatever_its_name(own_folder: Path) -> None:
    file = own_folder / "policy.py"
    file.write_text(POLICY, encoding="utf-8")
    found = sketch(f"{file}:infer")
    assert found.call == [
        "model",
        "img=torch.randn(shape, device=device, dtype=dtype)",
        "num_inference_timesteps=config.num_steps",
    ]
    assert not [todo for todo in found.todo if "action_head" in todo or "img" in todo]


def test_a_released_sampler_is_judged_by_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("generate_images.py").write_text(RELEASED)
    assert main(["--init", "generate_images.py"]) == 0
    assert "Now: check-sampler test_edm_sampler.py" in capsys.readouterr().out
    assert main(["test_edm_sampler.py", "--budget", "quick"]) == 0
    assert "1 sampler conforms" in capsys.readouterr().out


@pytest.mark.slow
def test_its_mistake_is_found_by_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert RELEASED.count(" * t_steps[0]") == 1
    Path("faded_images.py").write_text(RELEASED.replace(" * t_steps[0]", "").replace("edm_sampler", "faded_sampler"))
    assert main(["--init", "faded_images.py:faded_sampler"]) == 0
    assert main(["test_faded_sampler.py", "--budget", "quick"]) == 1
    assert "initial-noise-unscaled" in capsys.readouterr().out


def test_what_is_not_told_becomes_a_todo(capsys: pytest.CaptureFixture[str]) -> None:
    Path("loop.py").write_text(LOOP)
    assert main(["--init", "loop.py"]) == 0
    told = capsys.readouterr().out
    text = Path("test_diffusion_ddim_sample.py").read_text()
    ast.parse(text)
    for words in ("build your Diffusion here", "what does your sampler read as model.scale?"):
        assert words in told
        assert words in text
    found = sketch("loop.py:Diffusion.ddim_sample")
    assert found.reference == "DDIM"
    assert found.returns_tuple
    assert {"num_steps", "eta", "takes_generator", "model_attributes"} <= set(found.declared)
    assert "generator=generator" in found.call
    assert "eta=config.eta" in found.call


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere.py", "cannot read nowhere.py"),
        ("broken.py", "is no Python source"),
        ("loop.py:missing", "has no function 'missing'; it has"),
        ("two.py", "which function of two.py is the sampler? several (sample_a, sample_b)"),
        ("none.py", "none by its name (helper)"),
        ("there.py", "is there already"),
    ],
)
def test_what_cannot_be_read_is_told(target: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.py").write_text("def sample(:")
    Path("loop.py").write_text(LOOP)
    Path("two.py").write_text("def sample_a(model): ...\ndef sample_b(model): ...\n")
    Path("none.py").write_text("def helper(): ...\n")
    Path("there.py").write_text("def sample(model, shape): ...\n")
    Path("test_sample.py").write_text("mine")
    assert main(["--init", target]) == 2
    assert words in capsys.readouterr().err
    assert Path("test_sample.py").read_text() == "mine"


HELD = """
class Diffusion:
    def __init__(self, model, *, image_size, timesteps=1000, ddim_eta=0.0):
        self.channels = model.channels

    def ddim_sample(self, batch_size=16, clip_denoised=True):
        return torch.randn(batch_size, self.channels)
"""


def test_a_class_is_built_from_its_own_constructor(capsys: pytest.CaptureFixture[str]) -> None:
    Path("held.py").write_text(HELD)
    assert main(["--init", "held.py"]) == 0
    assert "build your Diffusion" not in capsys.readouterr().out
    text = Path("test_diffusion_ddim_sample.py").read_text()
    ast.parse(text)
    assert "Diffusion(model, image_size=TODO_image_size, ddim_eta=config.eta).ddim_sample(" in text
    assert 'model_attributes={"channels": ...}' in text
    assert "clip_denoised=st.booleans()" in text


@pytest.mark.slow
def test_a_class_is_named_by_itself_where_one_method_samples(capsys: pytest.CaptureFixture[str]) -> None:
    """Its settings are a dataclass of the same file, its network is called by a method, its loop is inherited."""
    Path("sampler.py").write_text(
        (RELEASES / "diamond.py").read_text(encoding="utf-8")
        + "\n\nclass Inherits(DiffusionSampler):\n    name = 'another'\n",
        encoding="utf-8",
    )
    assert main(["--init", "sampler.py:Inherits"]) == 0
    text = Path("test_inherits_sample.py").read_text(encoding="utf-8")
    assert "from sampler import Inherits, DiffusionSamplerConfig\n" in text
    assert "        num_steps_denoising=config.num_steps,\n" in text
    assert '        order=2 if config.solver == "heun" else 1,\n' in text
    assert 'Inherits(model.method("denoise"), cfg=cfg).sample(' in text
    given = text.replace("TODO_prev_obs", "torch.zeros((shape[0], 2, *shape[1:]), device=device, dtype=dtype)")
    Path("test_inherits_sample.py").write_text(given.replace("TODO_prev_act", "torch.zeros(shape[0], 2)"))
    capsys.readouterr()
    assert main(["test_inherits_sample.py", "--budget", "quick", "--no-diagnosis", "--check", "law/outputs"]) == 0
    assert main(["test_inherits_sample.py", "--budget", "quick", "--no-diagnosis", "--check", "law/initial-noise"]) == 1
    assert "the first noise is not scaled" in capsys.readouterr().out


def test_a_class_with_several_samplers_asks_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--init", f"{RELEASES / 'guided_diffusion.py'}:GaussianDiffusion"]) == 2
    told = capsys.readouterr().err
    assert "GaussianDiffusion.p_sample_loop" in told
    assert "GaussianDiffusion.METHOD" in told


CALLED = """
class Pipeline:
    def __init__(self, unet, num_inference_steps=50):
        self.unet = unet

    def prepare(self, x):
        return x

    def __call__(self, latents, eta=0.0):
        return ddim(self.unet, latents, eta)
"""


def test_a_class_that_is_called_is_its_own_entry(own_folder: Path) -> None:
    Path("pipeline.py").write_text(CALLED, encoding="utf-8")
    assert sketch("pipeline.py:Pipeline").name == "Pipeline.__call__"
    with pytest.raises(ValueError, match="which function"):
        sketch("pipeline.py")  # asked of a whole file, a class is not guessed


@pytest.mark.parametrize("installed", [True, False])
def test_a_module_of_a_package_is_imported_from_it(
    installed: bool, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_folder / "site" / "some_package" / "sampling"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder / "loops.py").write_text(f"from . import __name__ as here\n{RELEASED}", encoding="utf-8")
    if installed:
        monkeypatch.syspath_prepend(str(own_folder / "site"))
    assert main(["--init", str(folder / "loops.py")]) == 0
    text = Path("test_edm_sampler.py").read_text(encoding="utf-8")
    assert "from some_package.sampling.loops import edm_sampler" in text
    assert (f"sys.path.insert(0, {str(own_folder / 'site')!r})" in text) is not installed
    if installed:
        assert "sys" not in text.split()
    assert main(["test_edm_sampler.py", "--budget", "quick", "--check", "law/times"]) == 0


IN_DOUBLE_INSIDE = """
import torch


def ddim_sample(net, shape, steps=50, eta=0.0, churning=0.0, device="cpu"{argument}):
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), dim=0)
    x = torch.randn(shape, device=device)
    return {returned}


class Heun:
    def __init__(self, denoiser, n=18):
        self.denoiser, self.sigmas = denoiser, n

    def __call__(self, shape):
        return torch.randn(shape)
"""


@pytest.mark.parametrize(
    ("argument", "returned", "declared"),
    [
        ("", "alpha_bar[0] * x", True),
        ("", "(alpha_bar[0] * x).to(x)", False),
        ("", "x.float()", False),
        (", dtype=torch.float32", "x", False),
    ],
)
def test_a_table_in_double_is_no_sample_in_double(
    argument: str, returned: str, declared: bool, own_folder: Path
) -> None:
    Path("mine.py").write_text(IN_DOUBLE_INSIDE.format(argument=argument, returned=returned), encoding="utf-8")
    assert ("output_dtype" in sketch("mine.py:ddim_sample").declared) is declared


def test_what_keeps_its_own_default_is_listed(own_folder: Path) -> None:
    Path("mine.py").write_text(IN_DOUBLE_INSIDE.format(argument="", returned="x"), encoding="utf-8")
    assert main(["--init", "mine.py:ddim_sample"]) == 0
    assert "own default: churning. Pass" in Path("test_ddim_sample.py").read_text(encoding="utf-8")


def test_a_class_that_is_called_gives_its_name_to_the_file(own_folder: Path) -> None:
    Path("mine.py").write_text(IN_DOUBLE_INSIDE.format(argument="", returned="x"), encoding="utf-8")
    assert main(["--init", "mine.py:Heun"]) == 0
    assert "def heun_under_test(" in Path("test_heun.py").read_text(encoding="utf-8")


GRIDS = """
import torch

def get_sigmas_karras(n, sigma_min, sigma_max, rho=7.0, device="cpu"):
    ramp = torch.linspace(0, 1, n, dtype=torch.float64, device=device)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])

def flow_times(num_steps, shift=1.0):
    t = torch.linspace(1, 0, num_steps)
    return shift * t / (1 + (shift - 1) * t)

def ramp_of(count, weird):
    return torch.linspace(0, weird, count)
"""


def test_a_grid_is_judged_by_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("grids_of_mine.py").write_text(GRIDS)
    assert main(["--init", "grids_of_mine.py:get_sigmas_karras"]) == 0
    assert "Now: check-sampler test_get_sigmas_karras.py" in capsys.readouterr().out
    text = Path("test_get_sigmas_karras.py").read_text()
    assert "@grid_under_test(\n    KarrasLevels,\n" in text
    assert main(["test_get_sigmas_karras.py", "--budget", "quick"]) == 0
    assert "1 grid conforms" in capsys.readouterr().out


def test_the_mistake_of_a_grid_is_found_by_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("grids_of_mine.py").write_text(GRIDS)
    assert main(["--init", "grids_of_mine.py:flow_times"]) == 0
    assert main(["test_flow_times.py", "--budget", "quick", "--no-diagnosis"]) == 1
    text = capsys.readouterr().out
    assert "FAILED  grid/length" in text
    assert "flow_times: t = torch.linspace(1, 0, num_steps)" in text


def test_a_grid_is_taken_for_one_where_no_sampler_is_there() -> None:
    assert not sketch(str(_written("sampler.py", RELEASED))).is_grid
    assert sketch(str(_written("grid.py", GRIDS.replace("flow_times", "help_out").replace("ramp_of", "other")))).is_grid
    with pytest.raises(ValueError, match=r"several \(get_sigmas_karras, flow_times\): name it"):
        sketch(str(_written("grids.py", GRIDS)))


def _written(name: str, text: str) -> Path:
    Path(name).write_text(text)
    return Path(name)
