"""Simulated: a Cosmos DB account, by its REST protocol over TLS, for the real azure-cosmos.

It supports what lifecycle.experiment uses: reading the account, a container and its partition key ranges; upserts,
transactional batches, and queries of one partition that are sorted by `id`. Like the service, it checks the bearer
token, the partition key, the ID's characters, and the size of a batch.
https://learn.microsoft.com/rest/api/cosmos-db/
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.network import HttpRequest, HttpResponse, serve_http

TOKEN = "a-token-of-the-workload"
_MAX_BATCH = 100

Item = dict[str, Any]


class Credential:
    """A workload's identity."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert all(scope.endswith("/.default") for scope in scopes), scopes
        return AccessToken(TOKEN, 2**32)


class Account:
    """The account with one database, with these containers and partition keys."""

    def __init__(self, database: str, containers: Mapping[str, Sequence[str]]) -> None:
        self.url = ""
        self.is_down = False
        self.throttled_requests = 0
        """How many of the next writes get status 429."""
        self.retry_after = 0
        """Milliseconds that such a response asks for."""
        self.largest_batch = 0
        self._database = database
        self._keys = containers
        self._items: dict[str, dict[tuple[tuple[str, ...], str], Item]] = {name: {} for name in containers}

    @contextmanager
    def running(self, folder: Path) -> Iterator[None]:
        """Serve at `url`, with a certificate in the folder, which the SDK does not verify on the loopback address."""
        with serve_http(self._respond, create_tls_context(folder)) as self.url:
            yield

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if self.is_down:
            return _error(503, "ServiceUnavailable")
        if request.headers.get("authorization", "").removeprefix("type=aad&ver=1.0&sig=") != TOKEN:
            return _error(401, "Unauthorized")
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", [""]:
                return HttpResponse(200, self._describe())
            case "GET", ["dbs", self._database, "colls", name] if name in self._keys:
                return HttpResponse(200, self._describe_container(name))
            case "GET", ["dbs", self._database, "colls", name, "pkranges"] if name in self._keys:
                return _partition_ranges(request)
            case "POST", ["dbs", self._database, "colls", name, "docs"] if name in self._keys:
                return self._handle_documents(name, request)
        return _error(404, f"NotFound: {request.method} {request.path}")

    def _handle_documents(self, name: str, request: HttpRequest) -> HttpResponse:
        partition = tuple(json.loads(request.headers["x-ms-documentdb-partitionkey"]))
        if len(partition) != len(self._keys[name]):
            return _error(400, "PartitionKey extracted from document doesn't match the one specified in the header")
        if request.headers.get("x-ms-documentdb-isquery", "").lower() == "true":
            return self._query(name, partition, request.json())
        if self.throttled_requests:
            self.throttled_requests -= 1
            return _error(429, "Request rate is large", {"x-ms-retry-after-ms": str(self.retry_after)})
        if request.headers.get("x-ms-cosmos-is-batch-request", "").lower() == "true":
            return self._execute_batch(name, partition, request.json())
        if request.headers.get("x-ms-documentdb-is-upsert", "").lower() != "true":
            return _error(405, "only upserts are simulated")
        status = self._upsert(name, partition, request.json())
        return HttpResponse(status, request.json()) if status < 400 else _error(status, "BadRequest")

    def _query(self, name: str, partition: tuple[str, ...], query: Mapping[str, Any]) -> HttpResponse:
        if query["query"] != "SELECT * FROM c ORDER BY c.id":
            return _error(400, f"not simulated: {query}")
        found = [item for (place, _), item in sorted(self._items[name].items()) if place == partition]
        return HttpResponse(200, {"_rid": name, "Documents": found, "_count": len(found)})

    def _execute_batch(
        self, name: str, partition: tuple[str, ...], operations: Sequence[Mapping[str, Any]]
    ) -> HttpResponse:
        """All or nothing."""
        self.largest_batch = max(self.largest_batch, len(operations))
        if len(operations) > _MAX_BATCH or any(each["operationType"] != "Upsert" for each in operations):
            return _error(400, "a batch has at most 100 operations; only upserts are simulated")
        before = dict(self._items[name])
        statuses = [self._upsert(name, partition, each["resourceBody"]) for each in operations]
        if max(statuses) < 400:
            return HttpResponse(200, [{"statusCode": status} for status in statuses])
        self._items[name] = before
        failed = [{"statusCode": status if status >= 400 else 424} for status in statuses]
        return HttpResponse(207, failed)

    def _upsert(self, name: str, partition: tuple[str, ...], item: Item) -> int:
        """Returns the status. IDs: https://learn.microsoft.com/azure/cosmos-db/concepts-limits#per-item-limits"""
        values = tuple(item.get(path.removeprefix("/")) for path in self._keys[name])
        id_ = item.get("id", "")
        if values != partition or not id_ or len(id_.encode()) > 1023 or set(id_) & set("/\\?#"):
            return 400
        is_new = (partition, id_) not in self._items[name]
        self._items[name][partition, id_] = {**item, "_ts": 1, "_etag": '"1"'}
        return 201 if is_new else 200

    def _describe(self) -> Item:
        location = [{"name": "West Europe", "databaseAccountEndpoint": f"{self.url}/"}]
        return {
            "writableLocations": location,
            "readableLocations": location,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        }

    def _describe_container(self, name: str) -> Item:
        kind = "MultiHash" if len(self._keys[name]) > 1 else "Hash"
        key = {"paths": list(self._keys[name]), "kind": kind, "version": 2}
        return {"id": name, "_rid": name, "_self": f"dbs/x/colls/{name}/", "partitionKey": key}


def _partition_ranges(request: HttpRequest) -> HttpResponse:
    """One range, which never changes."""
    if request.headers.get("if-none-match") == "1":
        return HttpResponse(304, b"")
    ranges = [{"id": "0", "minInclusive": "", "maxExclusive": "FF", "parents": []}]
    return HttpResponse(200, {"PartitionKeyRanges": ranges, "_count": 1}, headers={"etag": "1"})


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, {"code": str(status), "message": message}, headers=headers or {})


def create_tls_context(folder: Path) -> ssl.SSLContext:
    """A server's context, with a certificate of the loopback address that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key_path)
    return context
