"""Training: from a table to a registered model version, as steps that run here, on Kubeflow, Azure ML and SageMaker."""
