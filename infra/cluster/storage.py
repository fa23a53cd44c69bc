"""The storage class of the platform's volumes."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.storage.v1 import StorageClass

from infra.contract import DiskContract
from infra.core.component import Component, StackContext

STORAGE_CLASS = "groundwork"


@dataclass(frozen=True)
class StorageArgs:
    context: StackContext
    disks: DiskContract


class Storage(Component):
    """A storage class, the default one, whose disks are encrypted with the platform's key."""

    layer = "cluster"

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        StorageClass(
            name,
            metadata=ObjectMetaArgs(
                name=STORAGE_CLASS,
                # AKS marks one of its own classes as default too; Kubernetes then uses the newer one.
                annotations={"storageclass.kubernetes.io/is-default-class": "true"},
            ),
            provisioner=args.disks.provisioner,
            parameters=dict(args.disks.parameters),
            reclaim_policy="Retain" if args.context.settings.resilience.retain_data else "Delete",
            # Otherwise a disk may be created in a zone that has no node for its pod.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            # Kubernetes rejects a change of the policy, and the provider does not replace the class for it.
            opts=self.child_options(replace_on_changes=["reclaimPolicy"], delete_before_replace=True),
        )
        self.register_outputs({})
