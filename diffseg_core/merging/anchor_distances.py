"""The distance between attention maps (paper, equation 2), and which of them are near which anchors."""

from __future__ import annotations

import torch

from .. import progress

FLOOR = torch.finfo(torch.float32).tiny

CHUNK_VALUES = 2**24  # of the maps, what is compared with the anchors at a time: 64 MB of float32


def floored_log(maps: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of float32 probabilities, finite where they are zero."""
    return maps.clamp_min(FLOOR).log_()


def symmetric_divergence(
    p: torch.Tensor, q: torch.Tensor, log_p: torch.Tensor, log_q: torch.Tensor
) -> torch.Tensor:
    """D(p, q) = ½(KL(p‖q) + KL(q‖p)) = ½ Σ (p − q)(log p − log q) between all pairs.

    Args:
        p, q: float32 ``[P, n]`` and ``[Q, n]``, rows sum to 1.
        log_p, log_q: their ``floored_log``.

    Returns:
        float32 ``[P, Q]``, in nats, ≥ 0 up to rounding.

    Unlike the reference, which computes the first pass in float16 without a floor (zeros give NaN and
    an anchor silently disappears), this computes in float32 and floors at its smallest normal number.
    """
    cross = p @ log_q.T  # Σ p log q
    cross.addmm_(log_p, q.T)  # + Σ q log p
    entropy_p, entropy_q = torch.linalg.vecdot(p, log_p), torch.linalg.vecdot(q, log_q)  # Σ p log p
    return cross.neg_().add_(entropy_p[:, None]).add_(entropy_q).mul_(0.5)


class AnchorDistances:
    """The divergences between anchors and maps, worked out once for all thresholds.

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention of one image.
        anchors: int64 ``[M²]``, the anchors' tokens.

    Attributes:
        tensor: the divergences, float32 ``[M², n]``.
    """

    def __init__(self, maps: torch.Tensor, anchors: torch.Tensor) -> None:
        self._maps, self._anchors = maps, anchors.to(maps.device)
        p = maps[self._anchors]
        log_p = floored_log(p)
        columns = []
        for q in maps.split(max(1, CHUNK_VALUES // maps.shape[1])):
            progress.step()
            columns.append(symmetric_divergence(p, q, log_p, floored_log(q)))
        self.tensor = torch.cat(columns, 1)

    def near(self, threshold: float) -> torch.Tensor:
        """Which maps have a divergence below the threshold from which anchors: bool ``[M², n]``."""
        near = self.tensor < threshold
        # An anchor is at distance 0 from itself; rounding must not drop it from its own neighbourhood.
        return near.scatter_(1, self._anchors[:, None], True)

    def means(self, threshold: float) -> torch.Tensor:
        """The mean of all maps near each anchor: float32 ``[M², keys]``."""
        near = self.near(threshold)
        sums = near.to(self._maps.dtype) @ self._maps
        return sums.div_(near.sum(1, keepdim=True))
