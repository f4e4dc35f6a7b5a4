"""Pieces of figures."""

import numpy as np


def curves(axes, runs, arms, measure, steps):
    """A line an arm, with the 95 % interval of its mean over seeds, as the paper has it."""
    for arm in arms:
        values = runs.values(arm, measure)
        mean = values.mean(axis=0)
        reach = 1.96 * values.std(axis=0) / np.sqrt(len(values))
        (line,) = axes.plot(steps, mean, label=arm)
        axes.fill_between(steps, mean - reach, mean + reach, alpha=0.25, color=line.get_color())


def histograms(axes, runs, arms):
    """Of confidences: the mean share of each bin over seeds."""
    for arm in arms:
        shares = runs.mean(arm, "histogram")
        axes.stairs(shares, np.linspace(0, 1, len(shares) + 1), label=arm, linewidth=1.8)
    axes.set(xlabel="confidence", ylabel="test points, %")
    axes.legend(fontsize=8)


def over_alphas(axes, runs, measure, arms, alphas):
    """A line for each of `arms`, a dictionary of words and functions of alpha; with 95 % intervals."""
    for words, arm in arms.items():
        values = np.stack([runs.values(arm(alpha), measure) for alpha in alphas])
        mean = values.mean(axis=1)
        reach = 1.96 * values.std(axis=1) / np.sqrt(values.shape[1])
        (line,) = axes.plot(alphas, mean, marker="o", markersize=3, label=words)
        axes.fill_between(alphas, mean - reach, mean + reach, alpha=0.25, color=line.get_color())
    axes.set_xscale("log", base=2)
    axes.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
    axes.set_xlabel("alpha")
