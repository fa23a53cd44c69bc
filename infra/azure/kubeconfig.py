"""The kubeconfig of an AKS cluster: how its exec plugin, kubelogin, signs its user in."""

from __future__ import annotations

from itertools import pairwise

import yaml

from kernel.kubelogin import list_token_arguments


def set_login(kubeconfig: str, login: str) -> str:
    """The kubeconfig that AKS returns in the format `exec`, with the login of kubelogin changed from `devicecode`.

    login  a value of the setting `cluster.login`
    """
    content = yaml.safe_load(kubeconfig)
    for user in content["users"]:
        plugin = user["user"]["exec"]
        plugin["args"] = list_token_arguments(login, dict(pairwise(plugin["args"])))
    return str(yaml.safe_dump(content))
