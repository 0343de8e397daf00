"""Sophia-G: signed steps scaled by an estimate of the curvature (Liu et al. 2023, arXiv 2305.14342; their sophia.py).

Every few steps the curvature is estimated from the gradient of losses whose targets are drawn from the model itself
(Gauss-Newton-Bartlett). For a contrastive loss that model is the softmax over the candidates of a batch; this
transfer is ours, not the paper's.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from negset.errors import ConfigError
from negset.lots import id_keys, mix
from negset.training.objective import LossInputs

EVERY: Final = 10
"""Steps from one estimate of the curvature to the next; the first step makes one."""
_FLOOR: Final = 1e-15


class Sophia(torch.optim.Optimizer):
    """Move each coordinate by at most its rate, less where the curvature is known to be high.

    With m the mean of gradients (`betas[0]`) and h that of curvatures (`betas[1]`), a step is
    `theta * (1 - lr * weight_decay) - lr * sign(m) * min(|m| / (rho * h), 1)`. h changes in `update_hessian` alone.
    Of a sparse gradient only the rows it holds, and their means, move. Raises ConfigError for an option out of range.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.965, 0.99),
        rho: float = 0.04,
        weight_decay: float = 0.1,
    ) -> None:
        if lr < 0 or weight_decay < 0 or rho <= 0 or not all(0 <= beta < 1 for beta in betas):
            message = (
                f"sophia got lr {lr}, betas {betas}, rho {rho}, weight_decay {weight_decay}: a rate and a decay are at "
                "least 0, rho is above 0, a beta at least 0 and below 1"
            )
            raise ConfigError(message)
        super().__init__(parameters, {"lr": lr, "betas": betas, "rho": rho, "weight_decay": weight_decay})

    @torch.no_grad()
    def update_hessian(self, queries: int) -> None:
        """Take the squares of the present gradients, times `queries`, into the curvature.

        The gradients are to be those of the mean of `pseudo_losses` over so many queries; parameters stay.
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


def pseudo_losses(inputs: LossInputs) -> torch.Tensor:
    """Give minus the log share of a target drawn for each query from the softmax over what counts for it, (B,).

    The mean's gradient is what `Sophia.update_hessian` squares.
    """
    logits_BC = (inputs.scores_BC() / inputs.temperature).masked_fill(inputs.masked_BC, float("-inf"))
    return cross_entropy(logits_BC, draw_targets(logits_BC.detach(), inputs), reduction="none")


def draw_targets(logits_BC: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
    """Draw a column for each row by the softmax of `logits_BC`, (B,).

    The draw depends on the run's seed, the step and the query's key; candidates are ordered by their keys, so that
    their order in the batch does not matter.
    """
    order_C = torch.argsort(inputs.candidate_key_C)
    shares_BC = torch.softmax(logits_BC[:, order_C].double(), dim=1).cumsum(dim=1)
    salt = id_keys([f"{inputs.moment.seed}:{inputs.moment.step}:sophia"])
    bits_B = mix(inputs.query_key_B.cpu().numpy().astype(np.uint64) ^ salt)
    # 52 bits and a half: the largest of them is still below 1.
    uniform_B = torch.from_numpy(((bits_B >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)
    total_B1 = shares_BC[:, -1:]
    drawn_B1 = torch.searchsorted(shares_BC, uniform_B.to(shares_BC.device)[:, None] * total_B1, right=True)
    # What is masked at the end repeats the total: a product that rounds up to it must not reach there.
    last_B1 = (shares_BC < total_B1).sum(dim=1, keepdim=True)
    return order_C[torch.minimum(drawn_B1, last_B1).squeeze(1)]


def _dense(parameter: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Give the gradient of `parameter`, and which of its rows it is for."""
    gradient = parameter.grad
    if gradient is None or not gradient.is_sparse:
        return gradient if gradient is not None else torch.zeros_like(parameter), ...
    gathered = gradient.coalesce()
    return gathered.values(), gathered.indices()[0]
