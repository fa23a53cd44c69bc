"""The error that a simulated cloud returns."""


class CloudError(Exception):
    """A request that the cloud refuses; the message is the cloud's own if that is known."""
