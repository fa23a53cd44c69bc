"""What Azure requires of backups that it copies to the paired region.

Not proven: that Azure has these rules. No test calls Azure.
"""

from __future__ import annotations

from tests.support.azure_subscription import VALID_INPUTS, Subscription

SERVER = "dbforpostgresql:Server"
COPIED = {**VALID_INPUTS[SERVER], "backup": {"backupRetentionDays": 7, "geoRedundantBackup": "Enabled"}}
GEO_KEY = {"geoBackupKeyURI": "https://kc.vault.azure.net/keys/platform/1", "geoBackupUserAssignedIdentityId": "/id"}


def test_copied_backups_need_a_key_in_their_region_if_the_server_has_one(azure: Subscription) -> None:
    server_key = {"type": "AzureKeyVault", "primaryKeyURI": "https://kv.vault.azure.net/keys/platform/1"}
    (problem,) = azure.check(SERVER, {**COPIED, "dataEncryption": server_key})
    assert "set dataEncryption.geoBackupKeyURI, dataEncryption.geoBackupUserAssignedIdentityId" in problem
    assert azure.check(SERVER, {**COPIED, "dataEncryption": {**server_key, **GEO_KEY}}) == []
    assert azure.check(SERVER, COPIED) == []
