"""The rehearsal's Kubernetes cluster: a real control plane whose nodes and pods' processes are simulated."""
