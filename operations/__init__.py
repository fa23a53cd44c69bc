"""What people run on a stack that stands: its state and health, backups, failover, bootstrap and rotation."""
