"""Controls over Kubernetes objects, Helm releases among them."""
