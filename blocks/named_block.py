"""What the saved blocks of this project have in common: a name that is checked before they are saved."""

from typing import Any

from prefect.blocks.core import Block


class NamedBlock(Block):
    """A block whose name is checked before it is saved."""

    @classmethod
    def check_name(cls, name: str) -> None:
        """Raise an InvalidArgumentError if no block may be saved under a name."""
        raise NotImplementedError

    async def asave(self, name: str | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Block's
        """Save the block; its name must not be the reserved one.

        Raises:
            InvalidArgumentError: The name is reserved; nothing was saved.
        """
        self.check_name(name or self._block_document_name or "")
        return await super().asave(name, *args, **kwargs)

    def save(self, name: str | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Block's
        """Save the block; as `asave`."""
        self.check_name(name or self._block_document_name or "")
        return super().save(name, *args, **kwargs)
