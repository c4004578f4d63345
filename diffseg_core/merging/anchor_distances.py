"""The distance between attention maps (paper, equation 2), and which of them are near which anchors."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .. import progress

FLOOR = torch.finfo(torch.float32).tiny

# Of the maps, what is compared with the anchors at a time: what fits a processor's cache; elsewhere more.
CHUNK_VALUES_CPU = 2**19  # 2 MB of float32
CHUNK_VALUES = 2**24  # 64 MB of float32
BOUND_ROWS = 4096  # maps that are seen from afar at a time
BIN = 16  # entries of a map that are added up to see from afar whether two maps can be near
MARGIN = 1e-3  # far above the rounding of a divergence
AHEAD = 1.5  # thresholds up to this many times what was asked for are known afterwards

Chunks = Iterator[tuple[torch.Tensor, torch.Tensor]]  # tokens, and indices among the anchors


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


class AnchorDistances:
    """The divergences between anchors and maps, kept as far as a threshold has asked for them.

    Args:
        maps: float32 ``[n, keys]``, the aggregated attention of one image.
        anchors: int64 ``[M²]``, the anchors' tokens.
        sift: whether to leave out pairs that cannot be near before they are compared. It is the default on
            the CPU only: an accelerator has compared everything before the host would learn what to leave
            out.

    Attributes:
        tensor: the divergences, float32 ``[M², n]``; infinite where none has been asked for.
    """

    def __init__(self, maps: torch.Tensor, anchors: torch.Tensor, sift: bool | None = None) -> None:
        self._maps, self._anchors = maps, anchors.to(maps.device)
        self._sift = maps.device.type == "cpu" if sift is None else sift
        self.tensor = maps.new_full((len(anchors), len(maps)), float("inf"))
        self._known = 0.0  # up to which divergence

    def near(self, threshold: float) -> torch.Tensor:
        """Which maps have a divergence below the threshold from which anchors: bool ``[M², n]``."""
        if threshold > self._known:
            self._compare(threshold * AHEAD)
        near = self.tensor < threshold
        # An anchor is at distance 0 from itself; rounding must not drop it from its own neighbourhood.
        return near.scatter_(1, self._anchors[:, None], True)

    def means(self, threshold: float) -> torch.Tensor:
        """The mean of all maps near each anchor: float32 ``[M², keys]``."""
        near = self.near(threshold)
        sums = self._maps.new_zeros(len(near), self._maps.shape[1])
        if self._sift:
            # Maps that are near the same anchors go side by side, so that a chunk concerns few anchors.
            for tokens, some in self._chunks_of(near):
                progress.step()
                members = near[some[:, None], tokens].to(sums.dtype)
                sums.index_add_(0, some, members @ self._maps[tokens])
        else:
            torch.mm(near.to(sums.dtype), self._maps, out=sums)
        return sums.div_(near.sum(1, keepdim=True))

    def _compare(self, most: float) -> None:
        p = self._maps[self._anchors]
        log_p = floored_log(p)
        entropy_p = negative_entropy(p, log_p)
        for tokens, some in self._chunks_of(self._possible(p, most)) if self._sift else self._chunks():
            progress.step()
            q = self._maps[tokens]
            divergence = symmetric_divergence(p[some], q, log_p[some], floored_log(q), entropy_p[some])
            self.tensor[some[:, None], tokens] = divergence
        self._known = most if self._sift else float("inf")

    def _chunks(self) -> Chunks:
        """All tokens a chunk at a time, each with all anchors."""
        anchors = torch.arange(len(self._anchors), device=self._maps.device)
        tokens = torch.arange(self._maps.shape[0], device=self._maps.device)
        for chunk in tokens.split(max(1, CHUNK_VALUES // self._maps.shape[1])):
            yield chunk, anchors

    def _chunks_of(self, pairs: torch.Tensor) -> Chunks:
        """The tokens of pairs, bool ``[M², n]``, a chunk at a time, with the anchors of their pairs."""
        order = pairs.view(torch.uint8).argmax(0).argsort()
        for chunk in order.split(max(1, CHUNK_VALUES_CPU // self._maps.shape[1])):
            some = pairs[:, chunk].any(1).nonzero().squeeze(1)
            if len(some):
                yield chunk, some

    def _possible(self, p: torch.Tensor, most: float) -> torch.Tensor:
        """Which maps can be near which anchors at all: bool ``[M², n]``, true wherever D < ``most``.

        Adding up entries of two maps never increases the divergence between them (data processing), nor
        does leaving entries out, for every term of (p − q)(log p − log q) is ≥ 0. So the divergence between
        maps of a sixteenth of the entries is a lower bound, at a sixteenth of the cost.
        """
        binned = self._maps.shape[1] // BIN * BIN

        def added_up(some: torch.Tensor) -> torch.Tensor:
            return some[:, :binned].unflatten(1, (-1, BIN)).sum(2)

        p = added_up(p)
        log_p = floored_log(p)
        possible = []
        for some in self._maps.split(BOUND_ROWS):
            q = added_up(some)
            bound = symmetric_divergence(p, q, log_p, floored_log(q))
            possible.append(bound < most * (1.0 + MARGIN) + MARGIN)
        return torch.cat(possible, 1)
