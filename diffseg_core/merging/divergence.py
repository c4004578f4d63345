"""The distance between attention maps (paper, equation 2), as two matrix products."""

from __future__ import annotations

import torch

FLOOR = torch.finfo(torch.float32).tiny


def floored_log(maps: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of float32 probabilities, finite where they are zero."""
    return maps.clamp_min(FLOOR).log_()


def negative_entropy(maps: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    """Σ p log p of each map, in nats."""
    return torch.linalg.vecdot(maps, logs)


def symmetric_divergence(
    p: torch.Tensor,
    q: torch.Tensor,
    log_p: torch.Tensor,
    log_q: torch.Tensor,
    entropy_p: torch.Tensor | None = None,
) -> torch.Tensor:
    """D(p, q) = ½(KL(p‖q) + KL(q‖p)) = ½ Σ (p − q)(log p − log q) between all pairs.

    Args:
        p, q: float32 ``[P, n]`` and ``[Q, n]``, rows sum to 1.
        log_p, log_q: their ``floored_log``.
        entropy_p: the ``negative_entropy`` of p, ``[P]``, where it is known already.

    Returns:
        float32 ``[P, Q]``, in nats, ≥ 0 up to rounding.

    Unlike the reference, which computes the first pass in float16 without a floor (zeros give NaN and
    an anchor silently disappears), this computes in float32 and floors at its smallest normal number.
    """
    cross = p @ log_q.T  # Σ p log q
    cross.addmm_(log_p, q.T)  # + Σ q log p
    entropy_p = negative_entropy(p, log_p) if entropy_p is None else entropy_p
    return cross.neg_().add_(entropy_p[:, None]).add_(negative_entropy(q, log_q)).mul_(0.5)
