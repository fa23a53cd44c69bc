"""The certificates of a control plane: whom they name, what they are valid for, and who can read the keys.

That the API server accepts them is tested in tests/cluster.
"""

from __future__ import annotations

import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.kubernetes.control_plane.certificates import Certificate, CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "pki")


def connect(authority: CertificateAuthority, server: Certificate, client: Certificate, host: str) -> dict[str, Any]:
    """Connect a client and a server that verify each other; returns the client's certificate as the server sees it."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_cert_chain(server.cert_file, server.key_file)
    client_context = ssl.create_default_context(cafile=authority.ca_file)
    client_context.load_cert_chain(client.cert_file, client.key_file)

    def accept(connection: socket.socket) -> dict[str, Any]:
        with server_context.wrap_socket(connection, server_side=True) as secure:
            secure.send(b".")
            return dict(secure.getpeercert() or {})

    one, other = socket.socketpair()
    with ThreadPoolExecutor(1) as threads, one, other:
        accepted = threads.submit(accept, one)
        with client_context.wrap_socket(other, server_hostname=host) as secure:
            secure.recv(1)
        return accepted.result()


def test_a_client_certificate_names_the_user_and_the_group(authority: CertificateAuthority) -> None:
    server = authority.issue_certificate("kube-apiserver", hosts=["127.0.0.1", "localhost"])
    client = authority.issue_certificate("system:admin", group="system:masters")
    seen = connect(authority, server, client, "127.0.0.1")
    subject = {key: value for attribute in seen["subject"] for key, value in attribute}
    assert subject["commonName"] == "system:admin"
    assert subject["organizationName"] == "system:masters"
    # Go rejects a certificate with an empty list of hosts.
    assert seen["subjectAltName"]


def test_a_server_certificate_is_valid_for_its_hosts_only(authority: CertificateAuthority) -> None:
    name = f"{'a' * 60}.{'b' * 60}.svc"  # longer than the maximum of a common name
    server = authority.issue_certificate(name, hosts=[name])
    client = authority.issue_certificate("client")
    connect(authority, server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(authority, server, client, "other.svc")


def test_all_files_are_readable_by_this_user_only(authority: CertificateAuthority, tmp_path: Path) -> None:
    user = authority.issue_certificate("system:user")
    authority.create_signing_key("tokens")
    kubeconfig = authority.write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", user)
    assert yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["client-key"] == str(user.key_file)
    files = [kubeconfig, *(tmp_path / "pki").iterdir()]
    assert {path.name for path in files} >= {"ca.crt", "system-user.crt", "system-user.key", "tokens.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
