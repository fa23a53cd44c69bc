"""Azure Key Vault: firewall, recovery, and attributes of keys and secrets."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.control import Setting
from policies.engine.expectations import Requirement, at_least, expect, expect_set, one_of, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

VAULT = ("azure-native:keyvault:Vault",)
HSM = ("azure-native:keyvault:ManagedHsm",)
KEY = ("azure-native:keyvault:Key",)
SECRET = ("azure-native:keyvault:Secret",)
IS_TIME = Requirement("must be set", lambda value: isinstance(value, int | float) and value is not True and value > 0)


@control(
    "azure-keyvault-network-default",
    title="The firewalls of key vaults deny by default",
    severity="critical",
    types=VAULT + HSM,
    remedy="set properties.networkAcls.defaultAction to Deny",
    references=("CKV_AZURE_109", "AZU-0013", "AzPolicy:firewall"),
)
def network_default(props: Props) -> Findings:
    risk = "every network reaches the vault as soon as public access is enabled"
    yield from expect(props, "properties.networkAcls.defaultAction", one_of("Deny"), risk)


@control(
    "azure-keyvault-retention",
    title="Deleted key vaults can be recovered for long enough",
    severity="low",
    types=VAULT + HSM,
    remedy="leave properties.softDeleteRetentionInDays unset or raise it; it cannot be changed later",
    settings={"minDays": Setting({"type": "integer", "minimum": 7, "maximum": 90}, default=90)},
)
def retention(props: Props, settings: Mapping[str, Any]) -> Findings:
    # Azure retains deleted vaults for 90 days if nothing is set.
    path, enough = "properties.softDeleteRetentionInDays", at_least(settings["minDays"])
    yield from expect(props, path, enough, "a deletion is noticed too late", absent_passes=True)


@control(
    "azure-keyvault-key-expiry",
    title="Keys expire",
    severity="medium",
    types=KEY,
    remedy="set properties.rotationPolicy.attributes.expiryTime, or properties.attributes.expires",
    references=("CKV_AZURE_40", "AZU-0014", "CIS-Azure5 8.3.1"),
)
def key_expiry(props: Props) -> Findings:
    risk = "a key whose rotation fails is used indefinitely"
    once = expect(props, "properties.attributes.expires", IS_TIME, risk)
    yield from pass_if_any([once, expect_set(props, "properties.rotationPolicy.attributes.expiryTime", risk)])


@control(
    "azure-keyvault-key-size",
    title="RSA keys are long enough",
    severity="medium",
    types=KEY,
    remedy="leave properties.keySize unset or raise it",
    references=("AzPolicy:RSA-minimum-key-size",),
    settings={"minBits": Setting({"type": "integer", "enum": [2048, 3072, 4096]}, default=2048)},
)
def key_size(props: Props, settings: Mapping[str, Any]) -> Findings:
    kind = look_up(props, "properties.kty")
    if kind is UNKNOWN:
        yield Undecided("properties.kty")
    elif not str(kind).upper().startswith("EC"):
        # Azure creates keys of 2048 bits if nothing is set.
        enough = at_least(settings["minBits"])
        risk = "the key can be broken during the lifetime of the data that it protects"
        yield from expect(props, "properties.keySize", enough, risk, absent_passes=enough.accepts(2048))


@control(
    "azure-keyvault-secret-expiry",
    title="Secrets expire",
    severity="medium",
    types=SECRET,
    remedy="set properties.attributes.expires to a time in seconds since 1970, and replace the secret before then",
    references=("CKV_AZURE_41", "AZU-0017", "CIS-Azure5 8.3.3"),
)
def secret_expiry(props: Props) -> Findings:
    path = "properties.attributes.expires"
    yield from expect(props, path, IS_TIME, "nobody is reminded to replace the secret")


@control(
    "azure-keyvault-secret-type",
    title="Secrets have a content type",
    severity="low",
    types=SECRET,
    remedy="set properties.contentType, such as text/plain",
    references=("CKV_AZURE_114", "AZU-0015"),
)
def secret_type(props: Props) -> Findings:
    yield from expect_set(props, "properties.contentType", "the purpose of the secret is not known")
