"""What runs in a cluster, as files in a git repository: how a model's folder looks, and how it changes.

    <environment>/kustomization.yaml              the environment's models
    <environment>/<model>/champion.yaml           the version that serves
    <environment>/<model>/challenger.yaml         the version that is on its way, if one is
    <environment>/<model>/route.yaml              how requests are split between the two
    <environment>/<model>/kustomization.yaml

How every model is served (replicas, probes, security) stands once, in the repository's base and overlays.
"""
