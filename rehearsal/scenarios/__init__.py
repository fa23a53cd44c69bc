"""The model's life on a rehearsed stack: trained, promoted, rolled out and rolled back, on one machine.

What is real: MLflow and its webhooks, the training pipeline, the promotion's and the rollout's own processes, git,
Argo CD's and KServe's controllers, the API server, the pods' serving processes, Prometheus. What is simulated beside
the clouds: the kubelet, the cluster's network and the gateway (`kubelet.py`, `network.py`), and who sends requests.
"""
