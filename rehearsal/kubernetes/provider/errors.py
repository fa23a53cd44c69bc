"""Failures of the provider, and their messages."""

from __future__ import annotations

import re

from rehearsal.kubernetes.client import ApiUnreachableError
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.values import Values

API_SERVER_LOST = "the rehearsal's API server no longer answers. The cluster's data is kept: run the command again"

# The remedies for errors, keyed by a pattern of the API server's message.
_REMEDIES = {
    r"^namespaces .* not found": "Declare the namespace, and make the objects in it depend on it (depends_on).",
    r"^no matches for kind": "Its CustomResourceDefinition has to exist first: depend on what installs it.",
    r"failed calling webhook|failed to call webhook": "The webhook's server has to be ready before the objects that it "
    "reviews are created: depend on the resource that deploys it.",
    r"^Apply failed with \d+ conflict": "Another field manager owns these fields: leave them out of the program "
    '(ignore_changes), or take them over with the annotation pulumi.com/patchForce: "true".',
    r"violates PodSecurity": "Set the securityContext that the message requires on the pod, or move it to a namespace "
    "whose level allows it.",
    r"exceeded quota": "Request less, or raise the namespace's ResourceQuota.",
    r"because it is being terminated": "Wait until the namespace is deleted. If its deletion times out, the error "
    "names what blocks it.",
}


class InitializationError(CloudError):
    """The object exists but did not become ready, so the engine has to record it in the state."""

    def __init__(self, reason: str, id_: str, properties: Values) -> None:
        super().__init__(reason)
        self.id = id_
        self.properties = properties


def format_error(error: Exception) -> str:
    """The message of a failure: the API server's own, and the remedy if one is known."""
    if isinstance(error, ApiUnreachableError):
        return API_SERVER_LOST
    message = str(error)
    remedies = [remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, message)]
    return " ".join([message.rstrip(".") + ".", *remedies]) if remedies else message
