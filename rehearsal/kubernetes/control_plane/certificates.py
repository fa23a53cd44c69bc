"""The certificates of one run: an authority of its own, and who it vouches for.

Made anew at each start and kept beside the control plane's data, readable by this user only; nobody else trusts them.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=30)  # longer than anybody leaves a rehearsal running
_SKEW = datetime.timedelta(hours=1)
_BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and of its key, both PEM."""

    cert_file: Path
    key_file: Path


class CertificateAuthority:
    """Signs what the processes of one control plane prove themselves with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("groundwork-rehearsal", [])
        builder = _builder(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._write(self.ca_file, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    @property
    def ca_file(self) -> Path:
        """The authority's own certificate."""
        return self._folder / "ca.crt"

    def issue_certificate(self, name: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Certificate:
        """A certificate for a client called `name` in `groups`, who also serves under `hosts` (names or addresses)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name, groups), self._name, key).add_extension(_BOTH, critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        signed = builder.sign(self._key, hashes.SHA256())
        stem = name.replace(":", "-").replace("*", "any")
        files = Certificate(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        self._write(files.cert_file, signed.public_bytes(serialization.Encoding.PEM))
        self._write(files.key_file, _pem(key))
        return files

    def create_signing_key(self, name: str) -> Path:
        """A key to sign tokens with."""
        path = self._folder / f"{name}.key"
        self._write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
        return path

    def write_kubeconfig(self, path: Path, server: str, user: Certificate) -> Path:
        """Write a kubeconfig that points at the files of `user`."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "rehearsal", "cluster": {"server": server, "certificate-authority": str(self.ca_file)}}
            ],
            "users": [
                {
                    "name": "rehearsal",
                    "user": {"client-certificate": str(user.cert_file), "client-key": str(user.key_file)},
                }
            ],
            "contexts": [{"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "rehearsal"}}],
            "current-context": "rehearsal",
        }
        self._write(path, yaml.safe_dump(config).encode())
        return path

    def _write(self, path: Path, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _name(name: str, groups: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
