"""The pages that lists come in.

https://docs.hetzner.cloud/reference/cloud#pagination
"""

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Action, Image, Meta, Pagination


class Page(BaseModel):
    """One page; a response without `meta` is the only one, one whose `meta` cannot be read is invalid."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    meta: Meta | None = None

    @property
    def pagination(self) -> Pagination:
        """Its position in the list."""
        return self.meta.pagination if self.meta else Pagination()

    @property
    def ids(self) -> list[int]:
        """The ids of its entries."""
        raise NotImplementedError


class ImagesPage(Page):
    """One page of images."""

    images: tuple[Image, ...]

    @property
    def ids(self) -> list[int]:
        """The images' ids."""
        return [image.id for image in self.images]


class ActionsPage(Page):
    """One page of actions."""

    actions: tuple[Action, ...]

    @property
    def ids(self) -> list[int]:
        """The actions' ids."""
        return [action.id for action in self.actions]
