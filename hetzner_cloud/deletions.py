"""Errors of deletions, which are never repeated before it was verified what the first request did.

None of them is transient, though what caused it may be: no retry policy repeats a deletion.
"""

from hetzner_cloud.errors import ApiError, HetznerCloudError, RateLimitError
from hetzner_cloud.models import Image
from hetzner_cloud.rejections import is_foreign
from hetzner_cloud.retry import is_transient


class DeletionUnconfirmedError(HetznerCloudError):
    """No response settles whether the image is deleted: get it before anything else.

    The request may have been carried out, or not, or still be carried out a little later.
    """

    @classmethod
    def of(cls, image_id: int, error: HetznerCloudError) -> "DeletionUnconfirmedError":
        """Return it with the message, code and correlation id of its cause."""
        message = f"It is unknown whether image {image_id} was deleted: {error.detail}"
        return cls(message, error.code, error.status_code, error.correlation_id)


class ImageNotDeletedError(HetznerCloudError):
    """No response settled a deletion, and the image still existed a moment later.

    Attributes:
        image: The image as it was then.
    """

    def __init__(self, image: Image, cause: HetznerCloudError) -> None:
        state = "protected" if image.is_protected else "not protected"
        message = f"Image {image.id} was not deleted: it still exists and is {state}: {cause.detail}"
        super().__init__(message, cause.code, cause.status_code, cause.correlation_id)
        self.image = image
        self.args = (image, cause)


def settles_deletion(error: HetznerCloudError) -> bool:
    """Return whether the API itself rejected the deletion, and not only for now."""
    if not isinstance(error, ApiError) or isinstance(error, RateLimitError):
        return False
    return not is_transient(error) and not is_foreign(error)
