"""The references' lines as the schedulers of diffusers write them, which most programs were copied from.

Source of all: huggingface/diffusers, released code, ``schedulers/scheduling_*.py``.
"""

from __future__ import annotations

from sampler_harness.law.replacement import Replacement

from .form import Form

__all__ = ["FURTHER_FORMS", "SCHEDULER_FORMS"]

_DDIM = "reference_samplers/ddim.py"
_DDPM = "reference_samplers/ddpm.py"
_DIFFUSERS = "reference_samplers/diffusers.py"
_EDM = "reference_samplers/edm.py"
_BETAS = "reference_samplers/processes/betas.py"
_LEVELS = "reference_samplers/processes/variance_exploding.py"
_SIGMAS = "reference_samplers/grids/sigmas.py"
_SPACINGS = "reference_samplers/grids/spacings.py"
_TABLE_LEVELS = "reference_samplers/grids/table_levels.py"

_DDPM_STEP = Form(
    "as one step of DDPMScheduler is",
    (
        Replacement(
            _DDPM,
            """            beta = 1 - alpha_bar / alpha_bar_next  # N&D eq. 19
            output, v = self.split(model(x, t - 1))
            x0 = self.to_x0(x, output, alpha_bar)  # eq. 15
            x0_weight = np.sqrt(alpha_bar_next) * beta / (1 - alpha_bar)  # eq. 7
            x_weight = np.sqrt(1 - beta) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7
            x = x0_weight * x0 + x_weight * x  # line 4, mean
            if t_next > 0:  # line 3
                x = x + self.std(alpha_bar, alpha_bar_next, beta, v) * noise()  # line 4, draw
""",
            """            output, v = self.split(model(x, t - 1))
            beta_prod = 1 - alpha_bar
            beta_prod_next = 1 - alpha_bar_next
            alpha = alpha_bar / alpha_bar_next
            beta = 1 - alpha  # N&D eq. 19
            if self.prediction == "epsilon":
                x0 = (x - np.sqrt(beta_prod) * output) / np.sqrt(alpha_bar)  # eq. 15
            elif self.prediction == "x0":
                x0 = output
            else:
                x0 = np.sqrt(alpha_bar) * x - np.sqrt(beta_prod) * output
            x0 = self.clipped(x0)
            x0_weight = np.sqrt(alpha_bar_next) * beta / beta_prod  # eq. 7
            x_weight = np.sqrt(alpha) * beta_prod_next / beta_prod  # eq. 7
            x = x0_weight * x0 + x_weight * x  # line 4, mean
            # A scheduler draws at any timestep but 0: behind the last step next to nothing, a variance of 1e-20.
            is_drawn = t_next > 0 or (t > 1 and alpha_bar_next == 1 and self.variance == "fixed_small")
            if is_drawn:  # line 3
                x = x + self.std(alpha_bar, alpha_bar_next, v) * noise()  # line 4, draw
""",
        ),
        Replacement(
            _DDPM,
            """    def std(self, alpha_bar: Any, alpha_bar_next: Any, beta: Any, v: Any) -> Any:
""",
            """    def std(self, alpha_bar: Any, alpha_bar_next: Any, v: Any) -> Any:
""",
        ),
        Replacement(
            _DDPM,
            """        posterior_variance = (1 - alpha_bar_next) / (1 - alpha_bar) * beta  # eq. 7
        if self.variance == "fixed_large":
            return np.sqrt(beta)  # section 3.2
        if self.variance == "learned_range":
            share = (v + 1) / 2
            return np.exp(0.5 * (share * np.log(beta) + (1 - share) * np.log(posterior_variance)))  # N&D eq. 15
        if self.variance == "learned":
            return np.exp(0.5 * v)
        return np.sqrt(posterior_variance)  # section 3.2
""",
            """        beta = 1 - alpha_bar / alpha_bar_next  # N&D eq. 19
        posterior_variance = (1 - alpha_bar_next) / (1 - alpha_bar) * beta  # eq. 7
        posterior_variance = np.maximum(posterior_variance, 1e-20)
        if self.variance == "learned_range":
            min_log = np.log(posterior_variance)
            max_log = np.log(beta)
            share = (v + 1) / 2
            log_variance = share * max_log + (1 - share) * min_log  # N&D eq. 15
            return np.exp(0.5 * log_variance)
        if self.variance == "learned":
            return np.exp(0.5 * v)
        variance = beta if self.variance == "fixed_large" else posterior_variance  # section 3.2
        return np.sqrt(variance)
""",
        ),
    ),
)
_OF_VARIANCE = """        variance = beta if self.variance == "fixed_large" else posterior_variance  # section 3.2
        return np.sqrt(variance)
"""
_OF_LOGARITHM = """        log_variance = np.log(beta if self.variance == "fixed_large" else posterior_variance)
        return np.exp(0.5 * log_variance)  # section 3.2
"""
#: What stands in lines that another form of a step has already.
FURTHER_FORMS: tuple[Form, ...] = (
    Form(
        f"{_DDPM_STEP.name}, with the variance as a logarithm",
        tuple(
            Replacement(one.file, one.before, one.after.replace(_OF_VARIANCE, _OF_LOGARITHM))
            for one in _DDPM_STEP.replacements
        ),
    ),
)

SCHEDULER_FORMS: tuple[Form, ...] = (
    *FURTHER_FORMS,
    Form(
        "as one step of DDIMScheduler is",
        (
            Replacement(
                _DDIM,
                """            x0 = self.to_x0(x, output, alpha_bar)  # eq. 12, "predicted x0"
            epsilon = self.to_epsilon(x, output, x0, alpha_bar)
            sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next > 0 else 0.0  # eq. 16
            # 0 where alpha_bar is 0 and eta 1: rounding must not take it below.
            direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))
""",
                """            beta_prod = 1 - alpha_bar
            if self.prediction == "epsilon":
                x0 = (x - np.sqrt(beta_prod) * output) / np.sqrt(alpha_bar)  # eq. 12, "predicted x0"
                epsilon = output
            elif self.prediction == "x0":
                x0 = output
                epsilon = (x - np.sqrt(alpha_bar) * x0) / np.sqrt(beta_prod)
            else:
                x0 = np.sqrt(alpha_bar) * x - np.sqrt(beta_prod) * output
                epsilon = np.sqrt(alpha_bar) * output + np.sqrt(beta_prod) * x
            x0 = self.clipped(x0)
            if self.rederive_epsilon:
                epsilon = (x - np.sqrt(alpha_bar) * x0) / np.sqrt(beta_prod)
            is_between = t_next > 0 or alpha_bar_next == 1
            sigma = self.sigma(alpha_bar, alpha_bar_next) if is_between else 0.0  # eq. 16
            direction_weight = np.sqrt(1 - alpha_bar_next - sigma**2)
""",
            ),
            Replacement(
                _DDIM,
                "        return self.eta * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) "
                "* np.sqrt(1 - alpha_bar / alpha_bar_next)\n",
                """        beta_prod = 1 - alpha_bar
        beta_prod_next = 1 - alpha_bar_next
        variance = beta_prod_next / beta_prod * (1 - alpha_bar / alpha_bar_next)
        return self.eta * np.sqrt(variance)
""",
            ),
        ),
    ),
    _DDPM_STEP,
    Form(
        "as a step of a scheduler on noise levels is",
        (
            # Its noise is drawn where gamma is above 0 alone: edits of gamma have another law here.
            Replacement(
                _EDM,
                """        if self.s_tmin <= sigma <= self.s_tmax:
            return np.minimum(self.s_churn / (len(self.levels) - 1), np.sqrt(2.0) - 1)
        return 0.0
""",
                """        rise = np.minimum(self.s_churn / (len(self.levels) - 1), np.sqrt(2.0) - 1)
        return rise if self.s_tmin <= sigma <= self.s_tmax else 0.0
""",
            ),
            Replacement(
                _EDM,
                """        for sigma_cur, sigma_next in pairwise(self.sigma_grid):  # line 3
            gamma = self.gamma(sigma_cur)
            epsilon = self.s_noise * noise()  # line 4
            sigma_hat = sigma_cur + gamma * sigma_cur  # line 5
            x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * epsilon  # line 6
            d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7
            x = x_hat + (sigma_next - sigma_hat) * d_cur  # line 8
            if self.solver == "heun" and sigma_next > 0:  # line 9
                d_prime = (x - denoised(x, sigma_next)) / sigma_next  # line 10
                x = x_hat + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11
""",
                """        for i in range(len(self.sigma_grid) - 1):  # line 3
            sigma_cur = self.sigma_grid[i]
            gamma = self.gamma(sigma_cur)
            sigma_hat = sigma_cur * (gamma + 1)  # line 5
            x_hat = x
            if gamma > 0:
                epsilon = noise() * self.s_noise  # line 4
                x_hat = x + epsilon * np.sqrt(sigma_hat**2 - sigma_cur**2)  # line 6
            sigma_next = self.sigma_grid[i + 1]
            # Where no level is raised, a scheduler's model was told the level itself, before the step.
            told = sigma_hat if gamma > 0 else sigma_cur
            output = model(self.input_scale(told) * x_hat, self.time(told))
            x0 = self.clipped(self.to_x0(x_hat, output, sigma_hat))
            d_cur = (x_hat - x0) / sigma_hat  # line 7
            dt = sigma_next - sigma_hat
            x = x_hat + d_cur * dt  # line 8
            if self.solver == "heun" and sigma_next > 0:  # line 9
                d_prime = (x - denoised(x, sigma_next)) / sigma_next  # line 10
                d_prime = (d_cur + d_prime) / 2
                x = x_hat + d_prime * dt  # line 11
""",
            ),
        ),
    ),
    Form(
        "as schedulers on noise levels turn an output into data",
        (
            Replacement(
                _LEVELS,
                """        signal_scale = 1 / np.sqrt(sigma**2 + 1)
        return prediction.to_x0(self.model_kind, signal_scale * x, output, signal_scale, signal_scale * sigma)
""",
                """        if self.model_kind == "epsilon":
            return x - sigma * output
        if self.model_kind == "v":
            return output * (-sigma / np.sqrt(sigma**2 + 1)) + x / (sigma**2 + 1)
        return output
""",
            ),
        ),
    ),
    Form(
        "with the interpolation between two levels written out",
        (
            Replacement(
                _SIGMAS,
                "    return np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas)))\n",
                """    log_sigma = np.log(np.maximum(sigma, 1e-10))
    dists = log_sigma - log_train_sigmas[:, np.newaxis]
    low_idx = np.minimum(np.cumsum(dists >= 0, axis=0).argmax(axis=0), len(log_train_sigmas) - 2)
    high_idx = low_idx + 1
    low = log_train_sigmas[low_idx]
    high = log_train_sigmas[high_idx]
    w = (low - log_sigma) / (low - high)
    w = np.minimum(np.maximum(w, 0), 1)
    index = (1 - w) * low_idx + w * high_idx
    return index if np.ndim(sigma) else index[0]
""",
            ),
        ),
    ),
    Form(
        "with a rescaled table turned back into betas",
        (
            Replacement(
                _BETAS,
                """    root: Array = np.sqrt(alpha_bar)
    shifted = root - root[-1]  # so that the last timestep is zero
    scaled = shifted * (root[0] / (root[0] - root[-1]))  # so that the first one is back
    rescaled: Array = scaled**2
    return rescaled
""",
                """    betas = 1 - np.append(alpha_bar[0:1], alpha_bar[1:] / alpha_bar[:-1])
    alphas = 1 - betas
    root: Array = np.sqrt(np.cumprod(alphas))
    root_0 = root[0]
    root_T = root[-1]
    shifted = root - root_T  # so that the last timestep is zero
    scaled = shifted * (root_0 / (root_0 - root_T))  # so that the first one is back
    alphas_bar: Array = scaled**2
    alphas = alphas_bar[1:] / alphas_bar[:-1]
    alphas = np.append(alphas_bar[0:1], alphas)
    betas = 1 - alphas
    alphas = 1 - betas
    rescaled: Array = np.cumprod(alphas)
    return rescaled
""",
            ),
        ),
    ),
    Form(
        "with levels looked up in the table, whatever it holds",
        (
            Replacement(
                _TABLE_LEVELS,
                "        return self.table if self.is_table_increasing else None\n",
                "        return self.table\n",
            ),
        ),
    ),
    Form(
        "with the last entry of a rescaled table set",
        (
            Replacement(
                _TABLE_LEVELS,
                "            table = np.append(betas.rescale_zero_terminal_snr(table)[:-1], 2.0**-24)\n",
                "            table = betas.rescale_zero_terminal_snr(table)\n            table[-1] = 2.0**-24\n",
            ),
        ),
    ),
    Form(
        "with the last level worked out by itself",
        (
            Replacement(
                _TABLE_LEVELS,
                """    def table(self) -> Array:
        \"\"\"``(T,)`` noise levels of the chain, increasing, data units.\"\"\"
        if self.betas is not None:
""",
                """    def table(self) -> Array:
        \"\"\"``(T,)`` noise levels of the chain, increasing, data units.\"\"\"
        alpha_bar = self.alpha_bars
        levels: Array = np.sqrt((1 - alpha_bar) / alpha_bar)
        return levels

    @cached_property
    def alpha_bars(self) -> Array:
        if self.betas is not None:
""",
            ),
            Replacement(
                _TABLE_LEVELS,
                """        levels: Array = np.sqrt((1 - table) / table)
        return levels
""",
                """        return table
""",
            ),
            Replacement(
                _DIFFUSERS,
                """        return self.table[0] if self.final_level == "sigma_min" else 0.0
""",
                """        alpha_bar = self.alpha_bars[0]
        return np.sqrt((1 - alpha_bar) / alpha_bar) if self.final_level == "sigma_min" else 0.0
""",
            ),
        ),
    ),
    Form(
        "with numpy's table of timesteps, not rounded",
        (
            Replacement(
                _TABLE_LEVELS,
                """            last = self.grid_length - 1.0
            stride = last / (count - 1) if count > 1 else 0.0
            # The end itself: a multiple of the stride may be beyond it by a rounding.
            return (*([last] if count > 1 else []), *(i * stride for i in reversed(range(max(count - 1, 1)))))
""",
                """            taken = np.linspace(0, self.grid_length - 1, count)[::-1]
            return tuple(float(t) for t in taken)
""",
            ),
        ),
    ),
    Form(
        "with numpy's tables of timesteps",
        (
            Replacement(
                _SPACINGS,
                "    return tuple(i * stride + steps_offset for i in reversed(range(num_steps)))\n",
                """    taken = np.round(np.arange(0, num_steps) * stride)[::-1]
    taken = taken + steps_offset
    return tuple(int(t) for t in taken)
""",
            ),
            Replacement(
                _SPACINGS,
                """    if num_steps == 1:
        return (0,)
    last = num_train_timesteps - 1
    stride = last / (num_steps - 1)
    # A multiple of the stride, as numpy's linspace has it: near a half that decides where it is rounded to.
    return (last, *(round(i * stride) for i in reversed(range(num_steps - 1))))
""",
                """    taken = np.round(np.linspace(0, num_train_timesteps - 1, num_steps))[::-1]
    return tuple(int(t) for t in taken)
""",
            ),
            Replacement(
                _SPACINGS,
                "    return tuple(round(num_train_timesteps - i * num_train_timesteps / num_steps) - 1 "
                "for i in range(num_steps))\n",
                """    stride = num_train_timesteps / num_steps
    taken = np.round(np.arange(num_train_timesteps, 0, -stride))
    taken = taken - 1
    return tuple(int(t) for t in taken)
""",
            ),
        ),
    ),
)
