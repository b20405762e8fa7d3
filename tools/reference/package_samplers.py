"""Samplers of sampling.safetensors and around.safetensors by the schedulers and guiders of diffusers, by torchdiffeq and
by SciPy, in f64. Used by packages.py.

Each function gives {name: (theirs, ours)}. The networks sampled with are those of package_models.py, so that nothing of
our references takes part but what the fixture says.
"""
import numpy as np
import torch
from scipy.integrate import solve_ivp
from torchdiffeq import odeint
from torchdiffeq._impl.rk_common import rk4_step_func

import package_models as m  # first: it makes the others f64
import diffusers
from diffusers import guiders, schedulers
from diffusers.schedulers import scheduling_ddpm

LINEAR = dict(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")


def given(name):
    """One trajectory: first x, what the guided network gives at each evaluation, and the rest of the fixture."""
    t, _ = m.read("sampling")
    t = {k.removeprefix(name + "."): v for k, v in t.items() if k.startswith(name + ".")}
    scale, channels = t["guidance"][0].item(), int(t["guidance"][1])
    both = zip(t["conditional"], t["unconditional"])
    return t["x"], torch.stack([guide(guiders.ClassifierFreeGuidance(scale), c, u, channels) for c, u in both]), t


def guide(guider, c, u, channels=3, k=0, n=1):
    """In step k of n. DiT's code guides the first three channels alone."""
    guider.set_state(step=k, num_inference_steps=n, timestep=torch.tensor(0))
    return torch.cat([guider.forward(c[:, :channels], u[:, :channels]).pred, c[:, channels:]], 1)


def follow(scheduler, x, outputs, **more):
    states = []
    for at, out in zip(scheduler.timesteps, outputs):
        x = scheduler.step(out, at, x, **more).prev_sample
        states.append(x)
    return torch.stack(states)


def flow(name, sign):
    x, outputs, t = given(name)
    n = len(outputs)
    s = schedulers.FlowMatchEulerDiscreteScheduler()
    s.set_timesteps(sigmas=[1 - k / n for k in range(n)])
    times = s.timesteps if sign > 0 else 1 - s.timesteps / 1000
    return {"states": (follow(s, x, sign * outputs), t["states"]), "times": (times, t["times"])}


def flow_heun(name, sign):
    """The package's own noise levels end at a thousandth; given ours it steps as we do."""
    x, outputs, t = given(name)
    s, n = schedulers.FlowMatchHeunDiscreteScheduler(), (len(outputs) + 1) // 2
    s.set_timesteps(n)
    level = torch.linspace(1, 0, n + 1)
    s.sigmas = torch.cat([level[:1], level[1:-1].repeat_interleave(2), level[-1:]])
    s.timesteps = s.sigmas[:-1].clone()
    return {"states": (follow(s, x, sign * outputs), t["states"]),
            "times": (s.sigmas[:-1] if sign > 0 else 1 - s.sigmas[:-1], t["times"])}


def respaced(kind, taus, **more):
    """A scheduler whose training steps are the visited ones alone: IDDPM's way, for steps no package's spacing gives."""
    bar = schedulers.DDPMScheduler(**LINEAR).alphas_cumprod[taus.flip(0).long()]
    betas = 1 - bar / torch.cat([torch.ones(1), bar[:-1]])
    s = kind(num_train_timesteps=len(taus), trained_betas=betas.numpy(), clip_sample=False, **more)
    s.set_timesteps(len(taus))
    return s


def ddpm():
    x, outputs, t = given("ddpm")
    s = respaced(schedulers.DDPMScheduler, t["times"], variance_type="learned_range")
    drawn, usual = iter(t["noise"]), scheduling_ddpm.randn_tensor
    scheduling_ddpm.randn_tensor = lambda *a, **k: next(drawn)
    states = follow(s, x, outputs)
    scheduling_ddpm.randn_tensor = usual
    return {"states": (states, t["states"])}


def ddim():
    x, outputs, t = given("ddim")
    s = schedulers.DDIMScheduler(**LINEAR, clip_sample=False)
    s.set_timesteps(len(outputs))
    return {"states": (follow(s, x, outputs[:, :, :4]), t["states"]), "times": (s.timesteps.double(), t["times"])}


def ddim_noisy():
    x, outputs, t = given("ddim_noisy")
    s, states = respaced(schedulers.DDIMScheduler, t["times"]), []
    for at, out, z in zip(s.timesteps, outputs, t["noise"]):
        x = s.step(out[:, :4], at, x, eta=0.6, variance_noise=z).prev_sample
        states.append(x)
    return {"states": (torch.stack(states), t["states"])}


def dpm2m():
    x, outputs, t = given("dpm2m")
    s = schedulers.DPMSolverMultistepScheduler(**LINEAR, timestep_spacing="linspace", final_sigmas_type="zero")
    s.set_timesteps(len(outputs))
    return {"states": (follow(s, x, outputs[:, :, :4]), t["states"]), "times": (s.timesteps.double(), t["times"])}


# Whole sampling with a network: around.safetensors, one picture at a time.

NULL = 10  # the row of the label that says nothing


def network(name):
    t, _ = m.read(name)
    net = m.dit(m.weights_of(t), 2, {"dit": 2, "sit_no_positions": 1}[name])
    return net, lambda x, time, label: net(x, torch.as_tensor([time]), torch.tensor([label])).sample[:, :4]


def pictures(name, sample):
    t, _ = m.read("around")
    labels = t[name + ".label"].long().tolist()
    return {"picture": (torch.cat([sample(x[None], y) for x, y in zip(t[name + ".x"], labels)]), t[name + ".picture"])}


def ddim_steps(n):
    s = schedulers.DDIMScheduler(**LINEAR, clip_sample=False)
    s.set_timesteps(n)
    return s


def interval_steps():
    _, f = network("dit")
    guider = guiders.ClassifierFreeGuidance(4.0, start=0.2, stop=0.8)  # of five steps, from the second to the fourth

    def sample(x, y):
        s = ddim_steps(5)
        for k, t in enumerate(s.timesteps):
            x = s.step(guide(guider, f(x, t, y), f(x, t, NULL), 3, k, 5), t, x).prev_sample
        return x
    return pictures("interval_steps", sample)


def stg(name, layers, attention, scale, push, rescale):
    """Skip-layer guidance of diffusers is STG's residual mode; with scores of attention left out, its attention mode.
    The guider's own first step goes without; ours does not."""
    net, f = network("dit")
    config = diffusers.hooks.LayerSkipConfig(layers, "transformer_blocks", skip_attention=not attention,
                                             skip_attention_scores=attention, skip_ff=not attention)

    def guider(scale):
        out = guiders.SkipLayerGuidance(scale - 1, push, skip_layer_config=config, skip_layer_guidance_start=0,
                                        skip_layer_guidance_stop=1, use_original_formulation=True)
        out._is_slg_enabled = lambda: True
        return out

    def sample(x, y):
        s = ddim_steps(4)
        for t in s.timesteps:
            c, u, weak = f(x, t, y), f(x, t, NULL), guider(scale)
            weak._count_prepared = 2  # the third run of the step is the weakened one
            weak.prepare_models(net)
            q = f(x, t, y)
            weak.cleanup_models(net)
            parts = zip((scale, 1), (slice(0, 3), slice(3, 4)))  # the last channel is not guided, but pushed
            eps = torch.cat([guider(g).forward(c[:, at], u[:, at], q[:, at]).pred for g, at in parts], 1)
            x = s.step(guiders.guider_utils.rescale_noise_cfg(eps, c, rescale), t, x).prev_sample
        return x
    return pictures(name, sample)


def edm():
    """Levels and preconditioning of the package's EDM scheduler, steps of its Heun scheduler."""
    _, f = network("sit_no_positions")
    guider, e = guiders.ClassifierFreeGuidance(2.0), schedulers.EDMEulerScheduler()
    e.set_timesteps(4)

    def sample(x, y):
        s = schedulers.HeunDiscreteScheduler(prediction_type="sample")
        s.set_timesteps(4)
        s.sigmas = torch.cat([e.sigmas[:1], e.sigmas[1:-1].repeat_interleave(2), e.sigmas[-1:]])
        s.timesteps = s.sigmas[:-1].clone()
        for sigma in s.timesteps:
            z, t = e.precondition_inputs(x, sigma), e.precondition_noise(sigma)
            out = guide(guider, f(z, t, y), f(z, t, NULL))
            x = s.step(e.precondition_outputs(x, out, sigma), sigma, x).prev_sample
        return x
    return pictures("edm", sample)


def midpoint():
    _, f = network("sit_no_positions")
    return pictures("midpoint", lambda x, y: odeint(lambda t, x: f(x, t, y), x, torch.tensor([0.0, 1.0]),
                                                    method="midpoint", options=dict(step_size=1 / 3))[-1])


def rk4():
    """torchdiffeq's method "rk4" is the 3/8 rule; the classic one is among its functions."""
    _, f = network("sit_no_positions")
    guider = guiders.ClassifierFreeGuidance(2.0)

    def sample(x, y):
        at = lambda t, x, perturb=None: guide(guider, f(x, t, y), f(x, t, NULL))
        for k in range(2):
            x = x + rk4_step_func(at, torch.tensor(k / 2), torch.tensor(0.5), torch.tensor(k / 2 + 0.5), x)
        return x
    return pictures("rk4", sample)


def dopri5():
    """SciPy's, whose choice of steps is ours; torchdiffeq's chooses others."""
    _, f = network("sit_no_positions")

    def sample(x, y):
        slope = lambda t, z: f(torch.from_numpy(z).reshape(x.shape), t, y).numpy().ravel()
        end = solve_ivp(slope, (0, 1), x.numpy().ravel(), method="RK45", rtol=1e-4, atol=1e-5, first_step=0.5).y[:, -1]
        return torch.from_numpy(np.ascontiguousarray(end)).reshape(x.shape)
    return pictures("dopri5", sample)
