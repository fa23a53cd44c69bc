"""Controls over Kubernetes objects, including Helm releases."""
