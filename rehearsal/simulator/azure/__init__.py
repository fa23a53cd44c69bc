"""The simulated `azure-native` provider: resource models by service."""
