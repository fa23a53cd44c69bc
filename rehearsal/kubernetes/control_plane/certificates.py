"""The certificates of one run of the control plane, signed by its own certificate authority.

They are issued at each start and stored beside the control plane's data, readable only by this user. Nothing outside of
the rehearsal trusts the authority.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml

# A client's certificate has to name some host: Go rejects the empty, critical list of hosts that trustme would write.
_NO_HOST = "client.invalid"
_MAX_COMMON_NAME = 64  # ub-common-name, https://www.rfc-editor.org/rfc/rfc5280#appendix-A.1


@dataclass(frozen=True)
class Certificate:
    """The PEM files of a certificate and of its private key."""

    cert_file: Path
    key_file: Path


class CertificateAuthority:
    """Issues the certificates with which the processes of one control plane authenticate to each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._ca = trustme.CA(organization_name="groundwork-rehearsal")
        _write_private(self.ca_file, self._ca.cert_pem.bytes())

    @property
    def ca_file(self) -> Path:
        """The authority's own certificate, PEM."""
        return self._folder / "ca.crt"

    def issue_certificate(self, name: str, *, group: str = "", hosts: Sequence[str] = ()) -> Certificate:
        """Issue a certificate for the Kubernetes user `name` in `group`, which is also valid for servers at `hosts`.

        `hosts` are DNS names or IP addresses. Kubernetes takes the user from the common name and the group from the
        organization: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
        """
        issued = self._ca.issue_cert(
            *(hosts or [_NO_HOST]), common_name=name[:_MAX_COMMON_NAME], organization_name=group or None
        )
        stem = name.replace(":", "-").replace("*", "any")
        files = Certificate(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        _write_private(files.cert_file, b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        _write_private(files.key_file, issued.private_key_pem.bytes())
        return files

    def create_signing_key(self, name: str) -> Path:
        """Create a private key that signs service account tokens."""
        path = self._folder / f"{name}.key"
        _write_private(path, self._ca.issue_cert(common_name=name).private_key_pem.bytes())
        return path

    def write_kubeconfig(self, path: Path, server: str, user: Certificate) -> Path:
        """Write a kubeconfig that refers to the files of `user`."""
        cluster = {"server": server, "certificate-authority": str(self.ca_file)}
        credentials = {"client-certificate": str(user.cert_file), "client-key": str(user.key_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rehearsal", "cluster": cluster}],
            "users": [{"name": "rehearsal", "user": credentials}],
            "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "rehearsal"}}],
            "current-context": "rehearsal",
        }
        _write_private(path, yaml.safe_dump(config).encode())
        return path


class ServerContexts:
    """The TLS contexts of servers in this process, with certificates of one authority. Each is created once."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def find(self, name: str, *aliases: str) -> ssl.SSLContext:
        """The context of a server at the host `name`, whose certificate is also valid for the aliases."""
        with self._lock:
            if name not in self._contexts:
                files = self._authority.issue_certificate(name, hosts=[name, *aliases])
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(files.cert_file, files.key_file)
                self._contexts[name] = context
            return self._contexts[name]


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
