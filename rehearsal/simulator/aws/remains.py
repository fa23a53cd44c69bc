"""Names on AWS that stay taken after a deletion.

Names of buckets do not: S3 refuses one for a while after a deletion, and the provider waits for it.
Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket.go (OperationAborted)
"""

from __future__ import annotations

from datetime import timedelta

from rehearsal.simulator.core.remains import FOREVER, Tombstone

# Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html
SECRET = Tombstone(
    "{name}",
    lambda request: timedelta(days=request.get("recoveryWindowInDays", 30)) or None,
    "InvalidRequestException: You can't create this secret because a secret with this name is already scheduled for "
    "deletion.",
)
# Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html
FINAL_SNAPSHOT = Tombstone(
    "{finalSnapshotIdentifier}",
    lambda request: None if request.get("skipFinalSnapshot") else FOREVER,
    "DBSnapshotAlreadyExists: Cannot create the snapshot because a snapshot with the identifier "
    "{finalSnapshotIdentifier} already exists.",
    is_left_by_deletion=True,
)
