"""Everything that runs in the cluster, in the order of dependencies."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from infra.cluster.admission import Admission
from infra.cluster.alloy import Alloy, AlloyArgs
from infra.cluster.argocd import ArgoCd, ArgoCdArgs
from infra.cluster.certificates import Certificates, CertificatesArgs
from infra.cluster.envoy_gateway import EnvoyGateway, EnvoyGatewayArgs
from infra.cluster.external_secrets import ExternalSecrets, ExternalSecretsArgs
from infra.cluster.gateway import GATEWAY, Gateway, GatewayArgs
from infra.cluster.gitops import GitOps, GitOpsArgs
from infra.cluster.karpenter import Karpenter, KarpenterArgs
from infra.cluster.kserve import Kserve, KserveArgs
from infra.cluster.lifecycle import Lifecycle, LifecycleArgs
from infra.cluster.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from infra.cluster.loki import Loki, LokiArgs
from infra.cluster.mlflow import Mlflow, MlflowArgs
from infra.cluster.monitoring import Monitoring, MonitoringArgs
from infra.cluster.namespaces import CONTROLLER_PROFILE, MODEL_PROFILES, SERVICE_PROFILES, Namespaces, NamespacesArgs
from infra.cluster.network_policies import NetworkPolicies, NetworkPoliciesArgs
from infra.cluster.storage import Storage, StorageArgs
from infra.cluster.tempo import Tempo, TempoArgs
from infra.contract import Foundation
from infra.core.component import StackContext


def create_platform(context: StackContext, foundation: Foundation) -> None:
    """Declare the platform on a foundation, whichever cloud created it."""
    provider = kubernetes.Provider(
        "kubernetes",
        kubeconfig=foundation.cluster.kubeconfig,
        # Otherwise a change of the kubeconfig replaces the provider and all its resources (pulumi-kubernetes#4019).
        cluster_identifier=foundation.cluster.name,
        enable_server_side_apply=True,
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )

    def after(*others: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(providers=[provider], depends_on=list(others))

    # What only some clouds leave to the platform.
    needs = {
        LoadBalancerController: foundation.load_balancer_controller is not None,
        Karpenter: foundation.karpenter is not None,
    }
    controllers = [component for component, is_needed in needs.items() if is_needed]
    components = (
        *(Monitoring, Loki, Tempo, Alloy),
        *(EnvoyGateway, Certificates, Gateway, Kserve, ExternalSecrets),
        *(Mlflow, ArgoCd, Lifecycle),
        *controllers,
    )
    profiles = {**SERVICE_PROFILES, **{controller.namespace: CONTROLLER_PROFILE for controller in controllers}}
    flows = [flow for component in components for flow in component.flows]
    if context.settings.gateway.issuer == "acme":
        flows += Certificates.acme_flows
    namespaces = Namespaces("namespaces", NamespacesArgs(foundation.identities, profiles), after())
    policies = NetworkPolicies(
        "network-policies", NetworkPoliciesArgs(context, foundation, namespaces.by_name, flows), after(namespaces)
    )
    admission = Admission("admission", after())
    storage = Storage("storage", StorageArgs(context, foundation.cluster.disks), after())
    monitoring = Monitoring("monitoring", MonitoringArgs(context), after(namespaces, policies, admission, storage))
    Loki("loki", LokiArgs(context, foundation), after(policies, monitoring))
    Tempo("tempo", TempoArgs(context, foundation), after(policies, monitoring))
    Alloy("alloy", AlloyArgs(context), after(policies, monitoring))
    # With the Gateway API's kinds, which cert-manager looks for when it starts.
    envoy_gateway = EnvoyGateway(
        "envoy-gateway",
        EnvoyGatewayArgs(context, foundation.cluster.load_balancer_annotations),
        after(policies, monitoring),
    )
    certificates = Certificates("certificates", CertificatesArgs(context, GATEWAY), after(envoy_gateway))
    before_gateway: list[pulumi.Resource] = [envoy_gateway, certificates]
    if foundation.load_balancer_controller:
        # It deletes the gateway's load balancer, so it is deleted after the gateway.
        before_gateway.append(
            LoadBalancerController(
                "load-balancer-controller",
                LoadBalancerControllerArgs(context, foundation.cluster, foundation.load_balancer_controller),
                after(certificates),
            )
        )
    if foundation.karpenter:
        Karpenter(
            "karpenter", KarpenterArgs(context, foundation.cluster, foundation.karpenter), after(policies, monitoring)
        )
    gateway = Gateway("gateway", GatewayArgs(context), after(*before_gateway))
    kserve = Kserve("kserve", KserveArgs(context.naming.domain), after(certificates, gateway))
    external_secrets = ExternalSecrets(
        "external-secrets", ExternalSecretsArgs(context, foundation), after(policies, monitoring)
    )
    mlflow = Mlflow("mlflow", MlflowArgs(context, foundation), after(policies, monitoring))
    # It lists the cluster anew for each kind that is added while it runs.
    argo_cd = ArgoCd("argo-cd", ArgoCdArgs(context), after(policies, monitoring, kserve, external_secrets))
    models = Namespaces(
        "model-namespaces",
        NamespacesArgs(foundation.identities, MODEL_PROFILES),
        after(mlflow, argo_cd, kserve, external_secrets),
    )
    model_policies = NetworkPolicies(
        "model-network-policies", NetworkPoliciesArgs(context, foundation, models.by_name, flows), after(models)
    )
    GitOps("gitops", GitOpsArgs(context), after(model_policies))
    # After the kinds of its secrets and monitors, and MLflow, which it registers its webhook in.
    Lifecycle("lifecycle", LifecycleArgs(context, foundation), after(external_secrets, mlflow, model_policies))
