"""Newton's method for convex sums over texts, with steps found by conjugate gradients: for many problems side by side.

A line search keeps it descending, and the Newton equation is solved as far as it pays: see Lin, Weng, Keerthi: Trust
Region Newton Method for Large-Scale Logistic Regression. JMLR 9, 2008, and Hsia, Zhu, Lin: A Study on Trust Region
Update Rules in Newton Methods for Large-scale Linear Classification. ACML 2017. Where the loss has a kink in its slope,
as the squared hinge has, the Hessian is the generalised one: Keerthi, DeCoste: A Modified Finite Newton Method for Fast
Solution of Large Scale Linear SVMs. JMLR 6, 2005.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_MAX_STEPS = 100
_MAX_HALVINGS = 30
_MAX_CONJUGATE = 250
_FORCING = 0.1
_ARMIJO = 1e-4


class Problem(Protocol):
    """One convex function of a matrix, or one for each of its columns."""

    def value(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the values, a number for each function, and the gradient; remember where that was."""

    def curvature(self, direction: Floats) -> Floats:
        """Return the product of ``direction`` and the Hessian at the weights of the last :meth:`value`."""

    def inner(self, one: Floats, other: Floats) -> Floats:
        """Return the inner product of two matrices, a number for each function."""


def minimise(problem: Problem, start: Floats, *, tolerance: float) -> Floats:
    """Return where each function has its minimum.

    Args:
        problem: The functions.
        start: Where to begin.
        tolerance: It ends where each gradient is shorter than this part of what it is at zero.
    """
    weights = start
    _, gradient = problem.value(np.zeros_like(start))
    goal = tolerance * np.sqrt(problem.inner(gradient, gradient))
    values, gradient = problem.value(weights)
    for _ in range(_MAX_STEPS):
        steep = np.sqrt(problem.inner(gradient, gradient)) > goal
        if not steep.any():
            break
        step = _newton_step(problem, gradient, steep)
        slope = problem.inner(gradient, step)
        length = np.where(steep, 1.0, 0.0)
        for _ in range(_MAX_HALVINGS):
            new_values, new_gradient = problem.value(weights + length * step)
            rises = new_values > values + _ARMIJO * length * slope + 1e-9 * np.abs(values)
            if not rises.any():
                break
            length = np.where(rises, length / 2, length)
        else:
            break  # rounding is larger than what could be won
        weights, values, gradient = weights + length * step, new_values, new_gradient
    return weights


def _newton_step(problem: Problem, gradient: Floats, steep: npt.NDArray[np.bool_]) -> Floats:
    """Return what the Hessian maps to the negative gradient, nearly; nothing where it is not steep."""
    step = np.zeros_like(gradient)
    residual = -gradient
    direction = residual
    length = problem.inner(residual, residual)
    goal = np.where(steep, _FORCING**2 * length, np.inf)
    for _ in range(_MAX_CONJUGATE):
        going = length > goal
        if not going.any():
            break
        image = problem.curvature(direction)
        bend = problem.inner(direction, image)
        factor = np.where(going, length / np.where(going, bend, 1), 0)
        step = step + factor * direction
        residual = residual - factor * image
        new_length = np.where(going, problem.inner(residual, residual), length)
        direction = residual + np.where(going, new_length / np.where(length > 0, length, 1), 0) * direction
        length = new_length
    return step
