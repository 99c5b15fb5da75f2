"""Other forms in which people write a reference's step: the same law, other lines to make a mistake in.

Context: a root that is lost in a step's ``tau`` is one character in one form of equation 12, and nothing that a line of
another form can become. Programs are written in a handful of forms.
Choice: where no edit of the reference's own lines explains a sampler, edits of these are tried.
Reversed by: a reference that is itself written in that form.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping

from sampler_harness.law.program import source_text
from sampler_harness.law.replacement import Replacement

from .form import Form
from .scheduler_forms import FURTHER_FORMS, SCHEDULER_FORMS

__all__ = ["AS_SCHEDULERS", "FORMS", "Form", "form_named", "forms_of", "in_all_lines", "text_as"]


_DDIM = "reference_samplers/ddim.py"
_DDPM = "reference_samplers/ddpm.py"
_FLOW = "reference_samplers/flow.py"
_BETAS = "reference_samplers/processes/betas.py"
_PREDICTION = "reference_samplers/prediction.py"
_STEP = """            sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next > 0 else 0.0  # eq. 16
            # 0 where alpha_bar is 0 and eta 1: rounding must not take it below.
            direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))
            x = np.sqrt(alpha_bar_next) * x0 + direction_weight * epsilon  # eq. 12, with "direction"
            if sigma > 0:  # a draw times 0 would leave the law as it is
                x = x + sigma * noise()  # eq. 12, "random noise"
"""

FORMS: tuple[Form, ...] = (
    # probabilists/azula, released code: DDIMSampler.step; its eta is the square of the paper's.
    Form(
        "with tau, the share of the noise that is drawn anew",
        (
            Replacement(
                _DDIM,
                _STEP,
                """            signal, level = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
            signal_next, level_next = np.sqrt(alpha_bar_next), np.sqrt(1 - alpha_bar_next)
            tau = 1 - (signal / signal_next * level_next / level) ** 2  # eq. 16
            tau = self.eta**2 * tau if t_next > 0 else 0.0
            kept = level_next * np.sqrt(1 - tau)  # eq. 12, "direction"
            x = signal_next * x0 + kept * epsilon  # eq. 12
            if tau > 0:
                x = x + level_next * np.sqrt(tau) * noise()  # eq. 12, "random noise"
""",
            ),
        ),
    ),
    # k-diffusion, released code: get_ancestral_step and sample_euler_ancestral, on the levels of x / sqrt(alpha_bar).
    Form(
        "as k-diffusion's ancestral steps are, down to sigma_down and up by sigma_up",
        (
            Replacement(
                _DDIM,
                _STEP,
                """            signal_next = np.sqrt(alpha_bar_next)
            level = np.sqrt(1 - alpha_bar) / np.sqrt(alpha_bar)
            level_next = np.sqrt(1 - alpha_bar_next) / signal_next
            sigma_up = self.eta * np.sqrt(level_next**2 * (level**2 - level_next**2) / level**2)  # eq. 16
            sigma_up = np.minimum(sigma_up, level_next) if t_next > 0 else 0.0
            sigma_down = np.sqrt(level_next**2 - sigma_up**2)  # eq. 12, "direction"
            x = signal_next * (x0 + sigma_down * epsilon)  # eq. 12
            if sigma_up > 0:
                x = x + signal_next * (sigma_up * noise())  # eq. 12, "random noise"
""",
            ),
        ),
    ),
    # lucidrains/denoising-diffusion-pytorch, released code: GaussianDiffusion.ddim_sample.
    Form(
        "with x0 itself at the end, where the other steps go on",
        (
            Replacement(
                _DDIM,
                _STEP,
                """            if t_next == 0 and alpha_bar_next == 1:
                x = x0
                continue
            variance = (1 - alpha_bar / alpha_bar_next) * (1 - alpha_bar_next) / (1 - alpha_bar)
            sigma = self.eta * np.sqrt(variance) if t_next > 0 else 0.0  # eq. 16
            c = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))
            x = x0 * np.sqrt(alpha_bar_next) + c * epsilon  # eq. 12
            if sigma > 0:
                x = x + sigma * noise()  # eq. 12, "random noise"
""",
            ),
        ),
    ),
    # smalldiffusion, released code: samples, on the levels of x / sqrt(alpha_bar).
    Form(
        "down to sigma_down, and up again by the noise that is missing there",
        (
            Replacement(
                _DDIM,
                _STEP,
                """            sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next > 0 else 0.0  # eq. 16
            signal_next = np.sqrt(alpha_bar_next)
            level_next = np.sqrt(1 - alpha_bar_next) / signal_next
            sigma_down = np.sqrt(np.maximum(level_next**2 - (sigma / signal_next) ** 2, 0))  # eq. 12, "direction"
            sigma_up = np.sqrt(level_next**2 - sigma_down**2)
            x = signal_next * (x0 + sigma_down * epsilon)  # eq. 12
            if sigma > 0:
                x = x + signal_next * (sigma_up * noise())  # eq. 12, "random noise"
""",
            ),
        ),
    ),
    # smalldiffusion, released code: sigmas_from_betas.
    Form(
        "with the table as noise levels of x / sqrt(alpha_bar)",
        (
            Replacement(
                _BETAS,
                "    return np.cumprod(1 - betas, dtype=np.float64)\n",
                "    kept = np.cumprod(1 - betas, dtype=np.float64)\n"
                "    sigma = np.sqrt(1 / kept - 1)\n"
                "    return 1 / (1 + sigma**2)\n",
            ),
        ),
    ),
    # Ho et al. 2020, arXiv:2006.11239, Algorithm 2 as it stands there.
    Form(
        "as Algorithm 2 has it, by the noise that is predicted",
        (
            Replacement(
                _DDPM,
                """            x0_weight = np.sqrt(alpha_bar_next) * beta / (1 - alpha_bar)  # eq. 7
            x_weight = np.sqrt(1 - beta) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7
            x = x0_weight * x0 + x_weight * x  # line 4, mean
""",
                """            alpha = 1 - beta
            epsilon = (x - np.sqrt(alpha_bar) * x0) / np.sqrt(1 - alpha_bar)
            x = (x - beta / np.sqrt(1 - alpha_bar) * epsilon) / np.sqrt(alpha)  # line 4, mean
""",
            ),
        ),
    ),
    # lucidrains/denoising-diffusion-pytorch, released code: sqrt_recip_alphas_cumprod and sqrt_recipm1_alphas_cumprod.
    Form(
        "with the tables of 1 / alpha_bar",
        (
            Replacement(
                _PREDICTION,
                "    x0: Array = (x - noise_scale * epsilon) / signal_scale\n",
                "    alpha_bar = signal_scale**2\n"
                "    x0: Array = np.sqrt(1 / alpha_bar) * x - np.sqrt(1 / alpha_bar - 1) * epsilon\n",
            ),
        ),
    ),
    # openai/guided-diffusion and diffusers, released code: betas_for_alpha_bar, one beta from two times.
    Form(
        "with each beta from two times",
        (
            Replacement(
                _BETAS,
                "    table: Array = np.minimum(1 - level[1:] / level[:-1], 0.999)\n",
                "    first, second = level\n    table: Array = np.minimum(1 - second / first, 0.999)\n",
            ),
            Replacement(
                _BETAS,
                """    time = np.linspace(0.0, 1.0, num_train_timesteps + 1)  # t / T
    level = np.cos((time + 0.008) / 1.008 * (np.pi / 2)) ** 2  # f(t); f(0) cancels in the ratio
    return limited_betas(level)
""",
                """    level = [np.cos((t + 0.008) / 1.008 * (np.pi / 2)) ** 2 for t in two_times(num_train_timesteps)]
    return limited_betas(level)
""",
            ),
            Replacement(
                _BETAS,
                """    level = np.exp(-12 * np.linspace(0.0, 1.0, num_train_timesteps + 1))
    return limited_betas(level)
""",
                """    level = [np.exp(-12 * t) for t in two_times(num_train_timesteps)]
    return limited_betas(level)
""",
            ),
            Replacement(
                _BETAS,
                "    level = (fallen[-1] - fallen) / (fallen[-1] - fallen[0])\n    return limited_betas(level)\n",
                "    level = (fallen[-1] - fallen) / (fallen[-1] - fallen[0])\n"
                "    return limited_betas([level[:-1], level[1:]])\n",
            ),
            Replacement(
                _BETAS,
                "def cosine_betas(num_train_timesteps: int) -> Array:\n",
                """def two_times(num_train_timesteps: int) -> list[Array]:
    i = np.arange(num_train_timesteps)
    first = i / num_train_timesteps
    second = (i + 1) / num_train_timesteps
    return [first, second]


def cosine_betas(num_train_timesteps: int) -> Array:
""",
            ),
            Replacement(
                _BETAS,
                "    level = 1 / (1 + np.exp(-log_snr))\n    return limited_betas(level)\n",
                "    level = 1 / (1 + np.exp(-log_snr))\n    return limited_betas([level[:-1], level[1:]])\n",
            ),
        ),
    ),
    # smalldiffusion, released code: a model of v is turned into one of epsilon, whatever comes next.
    Form(
        "with epsilon from v first",
        (
            Replacement(
                _PREDICTION,
                "    power = signal_scale**2 + noise_scale**2\n"
                "    x0: Array = (signal_scale * x - noise_scale * v) / power\n",
                "    epsilon = signal_scale * v + noise_scale * x\n"
                "    x0: Array = (x - noise_scale * epsilon) / signal_scale\n",
            ),
        ),
    ),
    # smalldiffusion, released code: samples draws in every step, of which a flow has none.
    Form(
        "with noise in every step",
        (
            Replacement(
                _FLOW,
                "            x = x + (time_next - time_cur) * flow  # eq. 1\n",
                "            x = x + (time_next - time_cur) * flow  # eq. 1\n"
                "            x = x + 0.0 * np.sqrt(time_cur - time_next) * noise()\n",
            ),
        ),
    ),
    *SCHEDULER_FORMS,
)

#: Each line that a scheduler writes otherwise, all at once: what one makes of a mistake in another, a variance below 0
#: that is raised to 1e-20, say, shows in no form alone. It has the lines of all references: see :func:`in_all_lines`.
AS_SCHEDULERS = Form(
    "as the schedulers of diffusers are",
    tuple(one for form in SCHEDULER_FORMS if form not in FURTHER_FORMS for one in form.replacements),
)


def form_named(name: str) -> Form:
    """A form by its name."""
    return AS_SCHEDULERS if name == AS_SCHEDULERS.name else next(form for form in FORMS if form.name == name)


def forms_of(files: set[str]) -> Iterator[Form]:
    """The forms of what stands in some files.

    Args:
        files: as ``reference_samplers/edm.py``.
    """
    yield from (form for form in FORMS if {one.file for one in form.replacements} <= files)


def in_all_lines(texts: Mapping[str, str], form: str, files: Collection[str]) -> dict[str, str] | None:
    """Edited texts with every other line as the schedulers write it; None where the edit leaves one of these no room.

    Args:
        texts: files with edits in them, by name.
        form: in which they are edited; empty for none.
        files: of the program.
    """
    joined = [one for one in SCHEDULER_FORMS if one not in FURTHER_FORMS]
    if form and form not in (one.name for one in joined):
        return None
    found = dict(texts)
    for one in joined:
        own = [part for part in one.replacements if part.file in files]
        if own and len(own) < len(one.replacements):
            return None  # half of a form has another law
        for part in own if one.name != form else ():
            text = found.get(part.file, source_text(part.file))
            if text.count(part.before) != 1:
                return None
            found[part.file] = text.replace(part.before, part.after)
    return found


@functools.cache
def text_as(file: str, form: str) -> str:
    """A file's text in a form.

    Args:
        file: as ``reference_samplers/edm.py``.
        form: its name; empty for the text as it stands.

    Raises:
        ValueError: where the lines that the form replaces are not there any more.
    """
    text = source_text(file)
    for one in form_named(form).replacements if form else ():
        if one.file != file:
            continue
        if text.count(one.before) != 1:
            raise ValueError(f"{form!r} replaces lines that are not in {file}")
        text = text.replace(one.before, one.after)
    return text
