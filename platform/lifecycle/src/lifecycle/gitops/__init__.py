"""What runs in a cluster, as files in a git repository: the layout of a model's folder, and commits that change it.

    <environment>/kustomization.yaml              the environment's models
    <environment>/<model>/champion.yaml           the version that serves
    <environment>/<model>/challenger.yaml         the version that is being rolled out, if there is one
    <environment>/<model>/route.yaml              the weights by which requests are split between the two
    <environment>/<model>/kustomization.yaml

What all models have in common (replicas, probes, security) is in the repository's base and overlays.
"""
