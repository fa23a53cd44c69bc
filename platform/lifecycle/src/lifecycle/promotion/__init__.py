"""From an alias set in the registry to a commit in the GitOps repository."""
