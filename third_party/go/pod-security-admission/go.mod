// Kubernetes' own cases of the Pod Security Standards, which a test holds the policy pack against. Nothing is built.
module groundwork.invalid/pod-security-admission

go 1.24.0

require k8s.io/pod-security-admission v0.37.2
