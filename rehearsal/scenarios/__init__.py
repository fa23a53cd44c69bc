"""Scenarios: what people do with a running stack, end to end, rehearsed on one machine.

The model lifecycle trains, promotes, rolls out and rolls back a model. MLflow and its webhooks, the training pipeline,
the processes of the promotion and the rollout, git, the controllers of Argo CD and KServe, the API server, the serving
processes and Prometheus are real. Besides the clouds, the kubelet (`kubelet_stub`), the cluster's network and gateway
(`network_proxy`), the receiver of notifications (`notification_stub`) and the users are simulated.
"""
