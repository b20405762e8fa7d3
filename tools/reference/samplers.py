"""The samplers once more, in NumPy f64, each as its source says it and one step at a time.

What: rectified flow by Euler and Heun (both time conventions), DDPM with learned variance on respaced steps, DDIM,
DPM-Solver++(2M), and both forms of guidance. Every sampler takes `net(x, t, k)` (k counts evaluations) and, where it
needs noise, `noise(k)`; it returns the state after every step and the times it fed the network.
Why: the C library makes each sampler a table of coefficients; this is the algebra it has to agree with.
"""
import numpy as np


def guided(conditional, unconditional, scale, channels):
    """u + s (c - u) on the first `channels` channels, the conditional output on the others."""
    out = conditional.copy()
    c, u = conditional[:, :channels], unconditional[:, :channels]
    out[:, :channels] = u + scale * (c - u)
    return out


def flow(net, x, steps, scale=1.0, reversed_time=False, heun=False):
    """x_s = (1-s) data + s noise from s = 1 to 0; net is fed scale * s and gives noise - data. Reversed time: net is
    fed scale * (1 - s) and gives data - noise."""
    states, times, calls = [], [], 0

    def velocity(x, s):
        nonlocal calls
        t = scale * (1 - s if reversed_time else s)
        times.append(t)
        calls += 1
        out = net(x, t, calls - 1)
        return -out if reversed_time else out

    for k in range(steps):
        now, then = 1 - k / steps, 1 - (k + 1) / steps
        v = velocity(x, now)
        euler = x + (then - now) * v
        if heun and k + 1 < steps:
            states.append(euler)
            euler = x + (then - now) * (v + velocity(euler, then)) / 2
        x = euler
        states.append(x)
    return states, times


def linear_alpha_bar():
    return np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def rounded_steps(n):
    """IDDPM's respacing: n training steps from 0 to 999, the stride accumulated, rounded half to even."""
    at, out = 0.0, []
    for _ in range(n):
        out.append(round(at))
        at += 999 / (n - 1)
    return out


def stride_steps(n):
    """IDDPM's ddimN: the whole stride that gives exactly n steps."""
    return next(list(range(0, 1000, s)) for s in range(1, 1000) if len(range(0, 1000, s)) == n)


def solver_steps(n):
    """n + 1 points from 0 to 999, rounded half to even, without the first."""
    return [int(round(u)) for u in np.linspace(0, 999, n + 1)][1:]


def clean(x, eps, a):
    return (x - np.sqrt(1 - a) * eps) / np.sqrt(a)


def ddpm(net, noise, x, taus):
    """Ancestral sampling with the learned range of variances: net gives noise and as many v in -1 … 1."""
    bar = linear_alpha_bar()[taus]
    before = np.concatenate([[1.0], bar[:-1]])
    beta = 1 - bar / before
    small = beta * (1 - before) / (1 - bar)
    small[0] = small[1]
    states, times = [], []
    for k, i in enumerate(reversed(range(len(taus)))):
        out = net(x, float(taus[i]), k)
        times.append(float(taus[i]))
        eps, v = out[:, :x.shape[1]], out[:, x.shape[1]:]
        x0 = clean(x, eps, bar[i])
        of_clean, of_x = np.sqrt(before[i]) * beta[i], np.sqrt(1 - beta[i]) * (1 - before[i])
        mean = (of_clean * x0 + of_x * x) / (1 - bar[i])
        fraction = (v + 1) / 2
        log_variance = fraction * np.log(beta[i]) + (1 - fraction) * np.log(small[i])
        x = mean + (np.exp(log_variance / 2) * noise(k) if i > 0 else 0)
        states.append(x)
    return states, times


def ddim(net, noise, x, taus, eta=0.0):
    """The clean image stands after the last step, as in DiT's code."""
    bar = linear_alpha_bar()[taus]
    states, times = [], []
    for k, i in enumerate(reversed(range(len(taus)))):
        a, then = bar[i], bar[i - 1] if i else 1.0
        eps = net(x, float(taus[i]), k)[:, :x.shape[1]]
        times.append(float(taus[i]))
        sigma = eta * np.sqrt((1 - then) / (1 - a)) * np.sqrt(1 - a / then)
        x = np.sqrt(then) * clean(x, eps, a) + np.sqrt(1 - then - sigma ** 2) * eps
        if sigma:
            x = x + sigma * noise(k)
        states.append(x)
    return states, times


def dpm_solver_2m(net, x, taus):
    """DPM-Solver++ of second order, midpoint form; first and last step of first order, the last to the clean image."""
    bar = linear_alpha_bar()[taus]
    lam = 0.5 * np.log(bar / (1 - bar))
    states, times, before, h_before = [], [], None, None
    for k, i in enumerate(reversed(range(len(taus)))):
        times.append(float(taus[i]))
        m = clean(x, net(x, float(taus[i]), k)[:, :x.shape[1]], bar[i])
        if i == 0:
            x = m
        else:
            h = lam[i - 1] - lam[i]
            second = 0 if before is None else (m - before) / (h_before / h)
            ratio = np.sqrt((1 - bar[i - 1]) / (1 - bar[i]))
            x = ratio * x - np.sqrt(bar[i - 1]) * np.expm1(-h) * (m + 0.5 * second)
            before, h_before = m, h
        states.append(x)
    return states, times
