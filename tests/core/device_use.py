"""What must not happen on an accelerator: the host waiting for values, and float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# The host learns from values what to do next, and how large a result is.
WAITS = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "_unique2", "unique_dim"}


class _Watch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1]
        )
        assert not masks, f"{func} with a mask makes the host wait"
        number = name in ("index_put", "index_put_") and args[2].ndim == 0  # which is copied to the device
        assert not number, f"{func} with a number makes the host wait"
        assert name not in WAITS, f"{func} makes the host wait"
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            wide = isinstance(value, torch.Tensor) and value.dtype == torch.float64
            assert not wide, f"{func} gives float64, which not every device has"
        return result


@contextmanager
def queued_only() -> Iterator[None]:
    """Within the context tensors are only given work: AssertionError where the host asks for a value.

    On a CUDA device also what moves between host and device while the host waits is an error, a RuntimeError
    of PyTorch's own.
    """
    cuda = torch.cuda.is_available()
    before = torch.cuda.get_sync_debug_mode() if cuda else 0
    try:
        if cuda:
            torch.cuda.set_sync_debug_mode("error")
        with _Watch():
            yield
    finally:
        if cuda:
            torch.cuda.set_sync_debug_mode(before)
