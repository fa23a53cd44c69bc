"""Commands for a deployed stack: its state and health, backups, failover, bootstrap and rotation."""
