"""Servers, as far as images depend on them.

https://docs.hetzner.cloud/reference/cloud#servers
"""

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Id, Text


class ServerImage(BaseModel):
    """The image that a server was created from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id


class Server(BaseModel):
    """A server; `image` is required: without it no one knows whether an image is in use.

    Attributes:
        image: None if the API names none, e.g. because it was deleted.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id
    name: Text = ""
    image: ServerImage | None

    @property
    def image_id(self) -> int | None:
        """The image that it was created from."""
        return self.image.id if self.image else None
