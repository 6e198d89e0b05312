"""The token of sandboxes, and the types of the fixtures that are functions."""

from collections.abc import Callable

from blocks.credentials import HetznerCloudCredentials
from sandbox import Sandbox

TOKEN = "canary-7f3e9c1ab2d4"


MakeSandbox = Callable[..., Sandbox]


SaveProject = Callable[..., HetznerCloudCredentials]
