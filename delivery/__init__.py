"""What pipelines call between a change and production: the logic that workflows would otherwise have in their steps."""
