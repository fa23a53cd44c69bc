"""A simulated cert-manager: it issues the certificates that Certificates request, signed by the rehearsal's authority.

The pods of the real one are simulated, but others wait for its results: pods that mount a certificate's Secret, the
Gateway whose listener serves it, and a program that waits until its issuers are ready. Keys and names are not those of
any real authority, and no ACME server is contacted. Errors that only cert-manager itself detects are not found here.
Source of conditions and Secrets: https://cert-manager.io/docs/usage/certificate/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.controllers.conditions import build_condition, write_status

NOTE = "cert-manager: Certificates are signed by the rehearsal's own authority, and every issuer is ready"

_API_VERSION = "cert-manager.io/v1"
_FIELD_MANAGER = "groundwork-simulated-cert-manager"
_MESSAGE = "simulated by the rehearsal"
_ISSUER_KINDS = ("Issuer", "ClusterIssuer")


def issue_certificates(api: ApiClient, authority: CertificateAuthority) -> bool:
    """Make all issuers and Certificates ready; returns whether there are any.

    Raises ApiError and ApiUnreachableError.
    """
    issuers = {kind: api.list(_API_VERSION, kind) for kind in _ISSUER_KINDS}
    for issuer in (*issuers["Issuer"], *issuers["ClusterIssuer"]):
        _set_ready(api, issuer, "")
    certificates = api.list(_API_VERSION, "Certificate")
    known = {_identify(issuer) for found in issuers.values() for issuer in found}
    for certificate in certificates:
        missing = _find_missing_issuer(certificate, known)
        if not missing:
            _ensure_secret(api, certificate, authority)
        _set_ready(api, certificate, missing)
    return bool(certificates) or any(issuers.values())


def _identify(issuer: Object) -> tuple[str, str, str]:
    return issuer["kind"], issuer["metadata"].get("namespace", ""), issuer["metadata"]["name"]


def _find_missing_issuer(certificate: Object, known: set[tuple[str, str, str]]) -> str:
    """The message about a missing issuer; empty if it exists."""
    reference = certificate["spec"]["issuerRef"]
    kind = reference.get("kind", "Issuer")
    namespace = certificate["metadata"]["namespace"] if kind == "Issuer" else ""
    return "" if (kind, namespace, reference["name"]) in known else f"{kind} {reference['name']} does not exist"


def _ensure_secret(api: ApiClient, certificate: Object, authority: CertificateAuthority) -> None:
    """Create the certificate's Secret; an existing one for the same names is left unchanged."""
    namespace, spec = certificate["metadata"]["namespace"], certificate["spec"]
    hosts = _list_hosts(spec)
    names = {"cert-manager.io/certificate-name": certificate["metadata"]["name"], "cert-manager.io/alt-names": hosts}
    annotations = {key: value if isinstance(value, str) else ",".join(value) for key, value in names.items()}
    found = api.get("v1", "Secret", spec["secretName"], namespace)
    if found and annotations.items() <= (found["metadata"].get("annotations") or {}).items():
        return
    issued = authority.issue_certificate(f"{namespace}-{spec['secretName']}", hosts=hosts)
    files = {"tls.crt": issued.cert_file, "tls.key": issued.key_file, "ca.crt": authority.ca_file}
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": spec["secretName"], "namespace": namespace, "annotations": annotations},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(path.read_bytes()).decode() for key, path in files.items()},
        },
        _FIELD_MANAGER,
        force=True,
    )


def _list_hosts(spec: Mapping[str, Sequence[str]]) -> Sequence[str]:
    return [*spec.get("dnsNames", ()), *spec.get("ipAddresses", ())]


def _set_ready(api: ApiClient, found: Object, failure: str) -> None:
    condition = build_condition(found, "Ready", ("Pending", failure) if failure else None, "Ready", _MESSAGE)
    write_status(api, found, {"conditions": [condition]})
