"""What Azure refuses of copies in the paired region.

Not proven: that Azure has these rules. No test calls Azure.
"""

from __future__ import annotations

from tests.support.azure_subscription import VALID_INPUTS, Subscription

SERVER = "dbforpostgresql:Server"
COPIED = {**VALID_INPUTS[SERVER], "backup": {"backupRetentionDays": 7, "geoRedundantBackup": "Enabled"}}
GEO_KEY = {"geoBackupKeyURI": "https://kc.vault.azure.net/keys/platform/1", "geoBackupUserAssignedIdentityId": "/id"}


def test_copies_of_backups_need_a_key_of_their_region_where_the_server_has_one(azure: Subscription) -> None:
    own = {"type": "AzureKeyVault", "primaryKeyURI": "https://kv.vault.azure.net/keys/platform/1"}
    (problem,) = azure.check(SERVER, {**COPIED, "dataEncryption": own})
    assert "set dataEncryption.geoBackupKeyURI, dataEncryption.geoBackupUserAssignedIdentityId" in problem
    assert azure.check(SERVER, {**COPIED, "dataEncryption": {**own, **GEO_KEY}}) == []
    assert azure.check(SERVER, COPIED) == []
