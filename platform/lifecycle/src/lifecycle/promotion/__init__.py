"""From an alias in the model registry to a commit in the GitOps repository."""
