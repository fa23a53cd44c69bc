"""The desired state of a cluster, as files in a git repository: the layout of a model's folder, and its commits.

    stacks/<stack>/kustomization.yaml                    the stack's models, overlay and images
    stacks/<stack>/<model>/kustomization.yaml            people's settings of the model
    stacks/<stack>/<model>/generated/champion.yaml       the version that serves
    stacks/<stack>/<model>/generated/challenger.yaml     the version that is being rolled out, if there is one
    stacks/<stack>/<model>/generated/route.yaml          the weights by which requests are split between the two
    stacks/<stack>/<model>/generated/kustomization.yaml

Settings that all models share (replicas, probes, security) are in the repository's base and overlays. docs/gitops.md
says who writes which files, and when they are committed.
"""
