"""Controls over Azure resources, one module per service."""
