"""The controls: one folder per cloud, one module per service, one decorated function per control."""
