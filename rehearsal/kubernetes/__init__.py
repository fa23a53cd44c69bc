"""The rehearsal's Kubernetes cluster: a real control plane with simulated nodes and simulated processes in pods."""
