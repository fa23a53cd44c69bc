"""From a table to a registered model version, in steps that run here, on Kubeflow, on Azure ML and on SageMaker."""
