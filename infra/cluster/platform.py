"""Everything that runs in the cluster, in the order of dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from infra.cluster import alert_receivers, process_telemetry
from infra.cluster.admission import Admission, AdmissionArgs
from infra.cluster.alert_receivers import AlertReceivers, AlertReceiversArgs
from infra.cluster.alerts import Alerts, AlertsArgs
from infra.cluster.alloy import Alloy, AlloyArgs
from infra.cluster.argocd import ArgoCd, ArgoCdArgs
from infra.cluster.certificates import Certificates, CertificatesArgs
from infra.cluster.dashboards import Dashboards
from infra.cluster.device_plugin import DevicePlugin, DevicePluginArgs
from infra.cluster.drift import Drift, DriftArgs
from infra.cluster.envoy_gateway import EnvoyGateway, EnvoyGatewayArgs
from infra.cluster.experiments import Experiments, ExperimentsArgs
from infra.cluster.external_secrets import ExternalSecrets, ExternalSecretsArgs
from infra.cluster.flows import Flow
from infra.cluster.gateway import GATEWAY, Gateway, GatewayArgs
from infra.cluster.gitops import GitOps, GitOpsArgs
from infra.cluster.karpenter import Karpenter, KarpenterArgs
from infra.cluster.kserve import Kserve, KserveArgs
from infra.cluster.lifecycle import Lifecycle, LifecycleArgs
from infra.cluster.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from infra.cluster.loki import Loki, LokiArgs
from infra.cluster.mlflow import Mlflow, MlflowArgs
from infra.cluster.monitoring import Monitoring, MonitoringArgs
from infra.cluster.namespaces import (
    CONTROLLER_PROFILE,
    DEVICE_PLUGIN_PROFILE,
    MODEL_PROFILES,
    PIPELINES_PROFILES,
    SERVICE_PROFILES,
    Namespaces,
    NamespacesArgs,
)
from infra.cluster.network_policies import NetworkPolicies, NetworkPoliciesArgs
from infra.cluster.pipelines import Pipelines
from infra.cluster.process_telemetry import ErrorTracking, ErrorTrackingArgs, ModelTelemetry, ModelTelemetryArgs
from infra.cluster.retraining import Retraining, RetrainingArgs
from infra.cluster.sign_in import SignIn, SignInArgs
from infra.cluster.storage import Storage, StorageArgs
from infra.cluster.tempo import Tempo, TempoArgs
from infra.contract import Foundation
from infra.core.component import StackContext


def create_platform(context: StackContext, foundation: Foundation) -> None:
    """Declare the platform on the foundation of any cloud."""
    platform = _Platform(context, foundation)
    base = platform.create_base()
    if pool := foundation.cluster.gpu_pool:
        DevicePlugin("device-plugin", DevicePluginArgs(pool), platform.after(*base))
    telemetry = platform.create_telemetry(base)
    external_secrets = ExternalSecrets(
        "external-secrets", ExternalSecretsArgs(context, foundation), platform.after(telemetry)
    )
    AlertReceivers("alert-receivers", AlertReceiversArgs(context, foundation.secrets), platform.after(external_secrets))
    certificates, gateway = platform.create_gateway(telemetry)
    # After the gateway that its configuration names: a gateway in use cannot be deleted, so KServe is deleted first.
    kserve = Kserve("kserve", KserveArgs(context.naming.domain), platform.after(certificates, gateway))
    mlflow = Mlflow("mlflow", MlflowArgs(context, foundation), platform.after(telemetry))
    # After the kinds of the other components: Argo CD lists the whole cluster again for each kind that is added later.
    argo_cd = ArgoCd("argo-cd", ArgoCdArgs(context), platform.after(kserve, external_secrets))
    SignIn("sign-in", SignInArgs(context, foundation.secrets), platform.after(gateway, mlflow, argo_cd))
    models = platform.create_model_namespaces(mlflow, argo_cd)
    telemetry_of_models = ModelTelemetry("model-telemetry", ModelTelemetryArgs(context), platform.after(models))
    pipelines = [Pipelines("pipelines", platform.after(models))] if context.settings.pipelines.enabled else []
    GitOps("gitops", GitOpsArgs(context, foundation.secrets), platform.after(models, telemetry_of_models, *pipelines))
    if context.settings.telemetry.error_tracking:
        tracking = ErrorTrackingArgs(context, foundation.secrets)
        ErrorTracking("error-tracking", tracking, platform.after(external_secrets, models))
    # After the kinds of their secrets and monitors, and MLflow, where promotion registers its webhook.
    lifecycle = Lifecycle("lifecycle", LifecycleArgs(context, foundation), platform.after(models))
    Experiments("experiments", ExperimentsArgs(context, foundation), platform.after(models))
    # It sends notifications like the lifecycle's processes, with their Secret.
    Retraining("retraining", RetrainingArgs(context, foundation), platform.after(models, lifecycle))
    Drift("drift", DriftArgs(context, foundation), platform.after(models))


class _Platform:
    """Creates groups of components in the order of their dependencies."""

    def __init__(self, context: StackContext, foundation: Foundation) -> None:
        self._context = context
        self._foundation = foundation
        self._provider = kubernetes.Provider(
            "kubernetes",
            kubeconfig=foundation.cluster.kubeconfig,
            # Otherwise a change of the kubeconfig replaces the provider and all its resources (pulumi-kubernetes#4019).
            cluster_identifier=foundation.cluster.name,
            enable_server_side_apply=True,
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
        )

    def after(self, *others: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(providers=[self._provider], depends_on=list(others))

    def create_base(self) -> Sequence[pulumi.Resource]:
        """What every service needs: namespaces with their policies, admission, and volumes."""
        profiles = {
            **SERVICE_PROFILES,
            **{controller.namespace: CONTROLLER_PROFILE for controller in self._list_controllers()},
        }
        if self._foundation.cluster.gpu_pool:
            profiles[DevicePlugin.namespace] = DEVICE_PLUGIN_PROFILE
        namespaces = Namespaces("namespaces", NamespacesArgs(self._foundation.identities, profiles), self.after())
        policies = self._create_network_policies("network-policies", namespaces)
        storage = Storage("storage", StorageArgs(self._context, self._foundation.cluster.disks), self.after())
        admission = Admission("admission", AdmissionArgs(self._context, self._foundation.registry), self.after())
        return namespaces, policies, admission, storage

    def create_telemetry(self, base: Sequence[pulumi.Resource]) -> Monitoring:
        """Metrics, logs and traces. All other components need the custom resource definitions of monitors."""
        context, foundation = self._context, self._foundation
        monitoring = Monitoring("monitoring", MonitoringArgs(context), self.after(*base))
        Alerts("alerts", AlertsArgs(context), self.after(monitoring))
        Dashboards("dashboards", self.after(monitoring))
        Loki("loki", LokiArgs(context, foundation), self.after(monitoring))
        Tempo("tempo", TempoArgs(context, foundation), self.after(monitoring))
        Alloy("alloy", AlloyArgs(context), self.after(monitoring))
        if foundation.karpenter:
            Karpenter(
                "karpenter", KarpenterArgs(context, foundation.cluster, foundation.karpenter), self.after(monitoring)
            )
        return monitoring

    def create_gateway(self, monitoring: Monitoring) -> tuple[Certificates, Gateway]:
        context, cluster = self._context, self._foundation.cluster
        # It installs the Gateway API's kinds, which cert-manager looks for when it starts.
        envoy_gateway = EnvoyGateway(
            "envoy-gateway", EnvoyGatewayArgs(context, cluster.load_balancer_annotations), self.after(monitoring)
        )
        certificates = Certificates("certificates", CertificatesArgs(context, GATEWAY), self.after(envoy_gateway))
        needs: list[pulumi.Resource] = [envoy_gateway, certificates]
        if self._foundation.load_balancer_controller:
            args = LoadBalancerControllerArgs(context, cluster, self._foundation.load_balancer_controller)
            # It deletes the gateway's load balancer, so it is deleted after the gateway.
            needs.append(LoadBalancerController("load-balancer-controller", args, self.after(certificates)))
        return certificates, Gateway("gateway", GatewayArgs(context), self.after(*needs))

    def create_model_namespaces(self, *services: pulumi.Resource) -> NetworkPolicies:
        """The namespaces of models, which are deleted while the services that clean them up still run."""
        optional = PIPELINES_PROFILES if self._context.settings.pipelines.enabled else {}
        args = NamespacesArgs(self._foundation.identities, {**MODEL_PROFILES, **optional})
        return self._create_network_policies(
            "model-network-policies", Namespaces("model-namespaces", args, self.after(*services))
        )

    def _create_network_policies(self, name: str, namespaces: Namespaces) -> NetworkPolicies:
        args = NetworkPoliciesArgs(self._context, self._foundation, namespaces.by_name, list(self._list_flows()))
        return NetworkPolicies(name, args, self.after(namespaces))

    def _list_controllers(self) -> Iterator[type[LoadBalancerController | Karpenter]]:
        """The controllers that only some clouds need."""
        if self._foundation.load_balancer_controller:
            yield LoadBalancerController
        if self._foundation.karpenter:
            yield Karpenter

    def _list_flows(self) -> Iterator[Flow]:
        for component in (*_COMPONENTS, *self._list_controllers()):
            yield from component.flows
        yield from alert_receivers.list_flows(self._context.settings)
        yield from process_telemetry.list_flows(self._context.settings)
        if self._context.settings.gateway.issuer == "acme":
            yield from Certificates.acme_flows
        if self._context.settings.sso.issuer:
            yield from SignIn.sso_flows
        if self._context.settings.pipelines.enabled:
            yield from Pipelines.flows


_COMPONENTS = (
    *(Monitoring, Loki, Tempo, Alloy),
    *(EnvoyGateway, Certificates, Gateway, Kserve, ExternalSecrets),
    *(Mlflow, ArgoCd, Lifecycle, Experiments, Drift, Retraining, SignIn),
)
