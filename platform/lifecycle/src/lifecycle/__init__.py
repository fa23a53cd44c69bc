"""From a table of data to a served model: train, evaluate at the gate, register, promote, serve, roll out, roll back.

Layers, each of which imports only those below it (import-linter, see pyproject.toml):

    training | serving | promotion | rollout      features: none imports another
    | experiment
    gate | gitops                                 shared by several features: evaluation, the GitOps repository
    contract                                      the requirements that a model must satisfy to be served
    core                                          model versions, their lineage, the model registry, settings, errors
"""
