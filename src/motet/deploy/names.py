"""Names of what Motet deploys on Ray Serve, shared by those who deploy and those who call."""

INGRESS = "motet"
"""The application of the HTTP ingress."""


def pool_of(expert: str) -> str:
    """Return the application name of an expert's pool."""
    return f"motet-pool-{expert.replace('/', '--')}"
