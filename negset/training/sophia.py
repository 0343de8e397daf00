"""Sophia-G: signed steps scaled by an estimate of the curvature (Liu et al. 2023, arXiv 2305.14342; their sophia.py).

Every few steps the curvature is estimated from the gradient of losses whose targets are drawn from the model itself
(Gauss-Newton-Bartlett), which the training step makes and hands over (`update_hessian`).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch

from negset.errors import ConfigError

_FLOOR: Final = 1e-15


class Sophia(torch.optim.Optimizer):
    """Move each coordinate by at most its rate, less where the curvature is known to be high.

    With m the mean of gradients (`betas[0]`) and h that of curvatures (`betas[1]`), a step is
    `theta * (1 - lr * weight_decay) - lr * sign(m) * min(|m| / (rho * h), 1)`. h changes in `update_hessian` alone,
    which is to be called every `hessian_every` steps, from the first one on.
    Of a sparse gradient only the rows it holds, and their means, move. Raises ConfigError for an option out of range.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.965, 0.99),
        rho: float = 0.04,
        weight_decay: float = 0.1,
        hessian_every: int = 10,
    ) -> None:
        if lr < 0 or weight_decay < 0 or rho <= 0 or hessian_every < 1 or not all(0 <= beta < 1 for beta in betas):
            message = (
                f"sophia got lr {lr}, betas {betas}, rho {rho}, weight_decay {weight_decay}, hessian_every "
                f"{hessian_every}: a rate and a decay are at least 0, rho is above 0, a beta at least 0 and below 1, "
                "and the curvature is estimated every 1 or more steps"
            )
            raise ConfigError(message)
        self.hessian_every = hessian_every
        super().__init__(parameters, {"lr": lr, "betas": betas, "rho": rho, "weight_decay": weight_decay})

    @torch.no_grad()
    def update_hessian(self, queries: int) -> None:
        """Take the squares of the present gradients, times `queries`, into the curvature.

        They are to be of the mean loss over so many queries, each with a target drawn from the model; parameters stay.
        """
        for group, parameter in self._moving():
            gradient, rows = _dense(parameter)
            beta, curvature = group["betas"][1], self._means(parameter)["curvature"]
            curvature[rows] = curvature[rows].mul(beta).addcmul(gradient, gradient, value=(1 - beta) * queries)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the parameters by their gradients."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group, parameter in self._moving():
            gradient, rows = _dense(parameter)
            means = self._means(parameter)
            momentum = means["momentum"][rows].lerp(gradient, 1 - group["betas"][0])
            means["momentum"][rows] = momentum
            scale = (momentum.abs() / (group["rho"] * means["curvature"][rows] + _FLOOR)).clamp(max=1)
            kept = parameter[rows].mul(1 - group["lr"] * group["weight_decay"])
            parameter[rows] = kept.addcmul(momentum.sign(), scale, value=-group["lr"])
        return loss

    def _moving(self) -> Iterable[tuple[dict[str, Any], torch.Tensor]]:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    yield group, parameter

    def _means(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        means: dict[str, torch.Tensor] = self.state[parameter]
        if not means:
            means["momentum"], means["curvature"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return means


def _dense(parameter: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Give the gradient of `parameter`, and which of its rows it is for."""
    gradient = parameter.grad
    if gradient is None or not gradient.is_sparse:
        return gradient if gradient is not None else torch.zeros_like(parameter), ...
    gathered = gradient.coalesce()
    return gathered.values(), gathered.indices()[0]
