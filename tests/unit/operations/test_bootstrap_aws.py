"""`make bootstrap` on AWS, with the real AWS CLI and moto's server in place of AWS.

Proves what is announced, created, left unchanged and refused. Not proven: that AWS responds as moto does.
"""

from __future__ import annotations

import json
from functools import partial

import pytest

from deploy.errors import DeployError
from operations import bootstrap
from tests.support.moto_server import run_aws

BACKEND, REGION = "s3://acme-state", "eu-central-1"
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("empty_account")]
aws = partial(run_aws, REGION)


def test_the_plan_is_printed_and_nothing_is_created_without_confirmation(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.run(BACKEND, REGION, is_confirmed=False) == 0
    text = capsys.readouterr().out
    assert text.count("will be created: ") == 5
    assert "Nothing has been created" in text
    assert aws("s3api", "list-buckets")["Buckets"] == []


def test_a_private_encrypted_versioned_bucket_is_created_once(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "secretsprovider: awskms://alias/acme-state?region=eu-central-1" in capsys.readouterr().out
    assert aws("s3api", "get-bucket-versioning", "--bucket", "acme-state")["Status"] == "Enabled"
    encryption = json.dumps(aws("s3api", "get-bucket-encryption", "--bucket", "acme-state"))
    key = json.dumps(aws("kms", "describe-key", "--key-id", "alias/acme-state"))
    assert json.loads(key)["KeyMetadata"]["Arn"] in encryption
    assert "SecureTransport" in json.dumps(aws("s3api", "get-bucket-policy", "--bucket", "acme-state"))
    bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "Everything exists already." in capsys.readouterr().out
    assert json.dumps(aws("kms", "list-aliases")).count('"alias/acme-state"') == 1


def test_an_existing_resource_that_differs_is_reported_and_not_changed() -> None:
    aws(
        "s3api", "create-bucket", "--bucket=acme-state", "--create-bucket-configuration=LocationConstraint=eu-central-1"
    )
    aws("s3api", "put-bucket-versioning", "--bucket=acme-state", "--versioning-configuration=Status=Suspended")
    with pytest.raises(DeployError, match="versions: versioning was suspended") as refused:
        bootstrap.run(BACKEND, REGION, is_confirmed=True)
    assert "nothing has been changed" in str(refused.value)
    assert "alias/acme-state" not in json.dumps(aws("kms", "list-aliases"))
