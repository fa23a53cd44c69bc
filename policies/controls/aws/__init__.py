"""Controls over AWS resources, one module per service."""
