"""The error with which a simulated cloud answers."""


class CloudError(Exception):
    """A request that the cloud refuses; the message is the cloud's own where it is known."""
