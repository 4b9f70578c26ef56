"""scikit-learn's solvers: its stochastic gradient descent, its learning rates, and L-BFGS over our gradients."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from portanet import optimizers, schedules
from portanet.checks import NotNegative, Number, one_of
from portanet.data.batching.batches import Batches
from portanet.optimizers import Adam, Optimizer
from portanet.schedules import Schedule
from portanet.training.trainer import Trainer
from portanet.typing import Array, Params


@dataclass(frozen=True)
class MomentumSGD(Optimizer):
    """Gradient descent whose velocity holds the learning rate, so that a new rate acts on new gradients alone.

    Rule      v ← m v - lr g,   p ← p + v;   Nesterov: p ← p + m v - lr g
    Source    Sutskever et al. 2013, ICML, eqs. 1 to 4

    The other form, :class:`portanet.SGD`, is the same while the rate is.
    """

    momentum: Annotated[float, Number(0, 1)] = 0.9  # scikit-learn allows 1
    nesterov: bool = True
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        v, lr = args
        v *= self.momentum
        v -= lr * g
        p += self.momentum * v - lr * g if self.nesterov else v
        return p, v


@dataclass(frozen=True)
class EpsHatAdam(Adam):
    """Adam with eps beside the root of the running mean itself, before that is freed of its bias.

    Rule      p ← p - lr m √(1 - b₂ᵗ) / (1 - b₁ᵗ) / (√v + eps)
    Source    Kingma & Ba 2015, arXiv:1412.6980, the last lines of sec. 2

    Where gradients are as small as eps, as the penalty's of a dead unit are, the two forms part.
    """

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        rate, _ = super().numbers(lr, t)
        return rate, self.eps / (1.0 - self.beta2) ** 0.5  # the running arrays lack their factors 1 - b


@dataclass(frozen=True)
class _Gradients(Optimizer):
    """An update that returns the gradients in place of new parameters: it makes a step their function."""

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        return (g,)


@dataclass
class LearningRate(Schedule):
    """What scikit-learn's `learning_rate` makes of the initial one; it is updated at the end of each epoch."""

    kind: Annotated[str, one_of("constant", "invscaling", "adaptive")]
    initial: NotNegative  # the initial learning rate, which the factor multiplies
    power_t: float  # exponent of "invscaling"
    current: NotNegative = 1.0

    def factor(self, epoch: float, epochs: float) -> float:
        return self.current

    def seen(self, samples: int) -> None:
        """Take notice of the number of samples seen so far, at the end of an epoch."""
        if self.kind == "invscaling":
            self.current = float((samples + 1) ** -self.power_t)

    def decrease(self) -> bool:
        """Divide an adaptive rate by 5; return whether there was still something to divide."""
        if self.kind != "adaptive" or self.initial * self.current <= 1e-6:
            return False
        self.current /= 5.0
        return True


def optimizer(e: Any) -> Optimizer:
    """Return the optimizer that an estimator's arguments describe."""
    lr = float(e.learning_rate_init)
    if e.optimizer is not None:
        return optimizers.get(e.optimizer, lr=lr)
    if e.solver == "sgd":
        return MomentumSGD(lr, momentum=float(e.momentum), nesterov=bool(e.nesterovs_momentum))
    return EpsHatAdam(lr, beta1=float(e.beta_1), beta2=float(e.beta_2), eps=float(e.epsilon))


def schedule(e: Any) -> Schedule:
    """Return the schedule of the learning rate that an estimator's arguments describe."""
    if e.schedule is not None:
        return copy.deepcopy(schedules.get(e.schedule))
    kind = e.learning_rate if e.optimizer is None and e.solver == "sgd" else "constant"
    return LearningRate(kind, float(e.learning_rate_init), float(e.power_t))


def minimise(trainer: Trainer, batches: Batches, limits: dict[str, float], *, verbose: bool) -> tuple[float, int]:
    """Minimise the trainer's loss over all samples at once by SciPy's L-BFGS-B; return the loss and the iterations.

    `limits` are SciPy's options: ``maxiter``, ``maxfun`` and ``gtol``.
    The vector that SciPy moves is a host array in float64; loss and gradient are worked out on the trainer's backend,
    in its dtype, by the step itself.
    """
    import scipy.optimize

    backend, dtype = trainer.backend, trainer.dtype
    step = backend.compile(dataclasses.replace(trainer.step, optimizer=_Gradients(), metrics=()))
    with backend.activate(dtype):
        (batch,) = batches.in_order()
        state = _Gradients().init(trainer.params)
        start = {name: backend.to_numpy(p) for name, p in trainer.params.items()}
        counters = {"lr": 0.0, "seed": 0, "step": 0}

        def parts(vector: Any) -> Params:
            found, end = {}, 0
            for name, p in start.items():
                begin, end = end, end + p.size
                found[name] = backend.asarray(vector[begin:end].reshape(p.shape).astype(dtype), dtype)
            return found

        def objective(vector: Any) -> tuple[float, Any]:
            args = (parts(vector), trainer.buffers, state, batch.x, batch.y, batch.weight, counters)
            grads, _, _, value, _ = step(*args)
            flat = [backend.to_numpy(grads[name]).reshape(-1) for name in start]
            return float(value), np.concatenate(flat).astype(np.float64)

        found = scipy.optimize.minimize(
            objective,
            np.concatenate([p.reshape(-1) for p in start.values()]).astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=(lambda intermediate_result: print(f"loss = {intermediate_result.fun:.8f}")) if verbose else None,
            options=limits,
        )
        trainer.params = parts(found.x)
    if found.status != 0:
        message = f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}): {found.message}. "
        warnings.warn(message + "Increase max_iter or max_fun, or scale the data.", ConvergenceWarning, stacklevel=4)
    return float(found.fun), min(int(found.nit), int(limits["maxiter"]))
