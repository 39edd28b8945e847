"""What the two sides of a pool share: its name, and what travels between them."""

from motet.errors import MotetError
from motet.types import Chunk

Parcel = list[Chunk] | MotetError
"""One item of a pool's answer: some chunks, or the error that ends it."""

INGRESS = "motet"
"""The application of the HTTP ingress."""

SWAPPER = "motet-swapper"
"""The application that decides whose engines are loaded, where a config has `residency`."""

DOOR = "-door"
"""How the root of a pool's application ends, where that is not the pool itself."""


DEVICES = "MOTET_DEVICES"
"""Environment variable with the planned devices that a cluster has, though their nodes may not be
up when a pool is deployed; names with commas between them."""


def device_resource(device: str) -> str:
    """Return the custom resource of Ray that the node of a planned device has."""
    return f"motet-{device}"


def pool_of(expert: str) -> str:
    """Return the application name of an expert's pool."""
    return f"motet-pool-{expert.replace('/', '--')}"
