"""The simulated `aws` provider: resource models by service."""
