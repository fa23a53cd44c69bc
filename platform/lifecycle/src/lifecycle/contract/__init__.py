"""The serving contract: one environment for training and serving, against which every model is checked."""

from lifecycle.contract.artifact import Artifact, admit
from lifecycle.contract.check import check
from lifecycle.contract.environment import Contract, ContractSettings, load, read_text
from lifecycle.contract.errors import ContractError
from lifecycle.contract.smoke_test import predict

__all__ = [
    "Artifact",
    "Contract",
    "ContractError",
    "ContractSettings",
    "admit",
    "check",
    "load",
    "predict",
    "read_text",
]
