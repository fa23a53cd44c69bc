"""States and backups on Azure: a group, a storage account with versions and a container, a vault and its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.paths import look_up
from operations.cloud_cli import ABSENT, CloudCli, Part, State

KEY = "pulumi"
_KEPT_DAYS = 90  # of deleted and replaced blobs
_ABSENT = (
    "ResourceNotFound",
    "ResourceGroupNotFound",
    "was not found",
    "could not be found",
    "KeyNotFound",
    "NotFound",
)
# The required properties of the account: no public blobs, no keys, TLS 1.2.
_ACCOUNT = {"allowBlobPublicAccess": False, "allowSharedKeyAccess": False, "minimumTlsVersion": "TLS1_2"}


def vault_name(account: str) -> str:
    """Vaults have names of 3 to 24 characters that begin with a letter."""
    return f"kv-{account}"[:24]


def list_parts(cli: CloudCli, container: str, account: str, location: str) -> Sequence[Part]:
    """The parts, in the order in which they depend on each other."""
    place = _Place(cli, container, account, location)
    return (
        Part("group", f"resource group {account}", place.find_group, place.create_group),
        Part(
            "account",
            f"storage account {account}, without keys and public blobs",
            place.find_account,
            place.create_account,
        ),
        Part(
            "versions", f"of every blob, deleted ones for {_KEPT_DAYS} days", place.find_versions, place.keep_versions
        ),
        Part("container", container, place.find_container, place.create_container),
        Part("vault", f"key vault {place.vault}, protected from purging", place.find_vault, place.create_vault),
        Part("key", f"RSA key {KEY} in it", place.find_key, place.create_key),
    )


@dataclass(frozen=True)
class _Place:
    cli: CloudCli
    container: str
    account: str
    location: str

    @property
    def vault(self) -> str:
        return vault_name(self.account)

    def find_group(self) -> State:
        return self._compare_location(self._find("group", "show", "--name", self.account))

    def create_group(self) -> None:
        self._call("group", "create", "--name", self.account, "--location", self.location)

    def find_account(self) -> State:
        found = self._find("storage", "account", "show", *self._in_group(), "--name", self.account)
        state = self._compare_location(found)
        if not state.is_there or state.fault:
            return state
        wrong = [f"{name} is {found.get(name)}" for name, value in _ACCOUNT.items() if found.get(name) != value]
        return State(is_there=True, fault=", ".join(wrong))

    def create_account(self) -> None:
        options = [
            "--sku",
            "Standard_ZRS",
            "--kind",
            "StorageV2",
            "--min-tls-version",
            "TLS1_2",
            "--https-only",
            "true",
        ]
        options += ["--allow-blob-public-access", "false", "--allow-shared-key-access", "false"]
        place = [*self._in_group(), "--name", self.account, "--location", self.location]
        self._call("storage", "account", "create", *place, *options)

    def find_versions(self) -> State:
        found = self._find("storage", "account", "blob-service-properties", "show", *self._of_account())
        return State(is_there=True) if found and found.get("isVersioningEnabled") else ABSENT

    def keep_versions(self) -> None:
        days = str(_KEPT_DAYS)
        options = ["--enable-versioning", "true", "--enable-delete-retention", "true", "--delete-retention-days", days]
        options += ["--enable-container-delete-retention", "true", "--container-delete-retention-days", days]
        self._call("storage", "account", "blob-service-properties", "update", *self._of_account(), *options)

    def find_container(self) -> State:
        found = self._find("storage", "container-rm", "show", *self._container())
        if not found:
            return ABSENT
        public = found.get("publicAccess") or "None"
        return State(is_there=True, fault="" if public == "None" else f"its blobs are public ({public})")

    def create_container(self) -> None:
        self._call("storage", "container-rm", "create", *self._container())

    def find_vault(self) -> State:
        found = self._find("keyvault", "show", "--name", self.vault)
        state = self._compare_location(found)
        if not state.is_there or state.fault:
            return state
        is_protected = look_up(found, "properties.enablePurgeProtection", False) is True
        return State(is_there=True, fault="" if is_protected else "it can be purged")

    def create_vault(self) -> None:
        options = ["--enable-purge-protection", "true", "--enable-rbac-authorization", "true"]
        place = [*self._in_group(), "--name", self.vault, "--location", self.location]
        self._call("keyvault", "create", *place, *options)

    def find_key(self) -> State:
        if not self.find_vault().is_there:
            return ABSENT
        found = self._find("keyvault", "key", "show", "--vault-name", self.vault, "--name", KEY)
        if not found:
            return ABSENT
        is_enabled = look_up(found, "attributes.enabled", True) is True
        return State(is_there=True, fault="" if is_enabled else "it is disabled")

    def create_key(self) -> None:
        self._call(
            "keyvault", "key", "create", "--vault-name", self.vault, "--name", KEY, "--kty", "RSA", "--size", "3072"
        )

    def _compare_location(self, found: Mapping[str, Any] | None) -> State:
        if not found:
            return ABSENT
        location = str(found["location"])
        fault = "" if location == self.location else f"it is in {location}, not in {self.location}"
        return State(is_there=True, fault=fault)

    def _in_group(self) -> Sequence[str]:
        return ("--resource-group", self.account)

    def _of_account(self) -> Sequence[str]:
        return (*self._in_group(), "--account-name", self.account)

    def _container(self) -> Sequence[str]:
        return ("--storage-account", self.account, *self._in_group(), "--name", self.container)

    def _find(self, *arguments: str) -> Any:
        return self.cli.find(_ABSENT, "az", *arguments, "--only-show-errors", "--output", "json")

    def _call(self, *arguments: str) -> Any:
        return self.cli.call("az", *arguments, "--only-show-errors", "--output", "json")
