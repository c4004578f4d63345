"""Values whose memory their host can see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class HostVisible(tuple[Any, ...]):
    """A value that is, underneath, a tuple of the tensors that it holds.

    ComfyUI keeps the outputs of nodes and, when memory runs short, gives up those first that take most of
    it. It looks for tensors in tuples and lists only: what any other object holds counts as nothing and is
    kept the longest. A value that travels between nodes is therefore a tuple for the host, which may walk
    through it, and for everyone else an object with named attributes.

    A subclass is a dataclass, ``@dataclass(frozen=True, eq=False)``, whose ``__new__`` passes on the
    tensors of its fields, in tuples or lists to any depth. A list may grow later, for what is computed at
    the first use. Two such values are equal if they are the same object, as tensors have no equality that
    a host could use.
    """

    def __new__(cls, *contents: Any) -> Self:
        """Make the value of what it shows the host: tensors, and tuples or lists of them."""
        return super().__new__(cls, contents)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies are made from the fields: what was kept beside them is computed anew."""
        return type(self), tuple(getattr(self, name) for name in self.__dataclass_fields__)  # type: ignore[attr-defined]
