"""A Pulumi project that is not this one: its own folder, settings and program, no policy pack, no charts.

Proves that a rehearsal knows of a project only what `rehearsal.yaml` says, that resources which Pulumi names itself are
rehearsed on both clouds, and that all types without a model are listed at once.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.small_projects import create_project, rehearse

pytestmark = pytest.mark.engine

FILES = {
    "Pulumi.yaml": "name: letters\nruntime: python\nstackConfigDir: stacks\n",
    "rehearsal.yaml": "stacks: stacks\nsettings: letters.settings:check\n",
    "stacks/Pulumi.test.yaml": (
        "config:\n"
        "  letters:words: 'alpha,beta'\n"
        "  aws:region: eu-west-1\n"
        "  azure-native:location: northeurope\n"
        "  pulumi:autonaming:\n"
        "    providers:\n"
        "      aws:\n"
        "        resources:\n"
        "          'aws:iam/role:Role': {pattern: '${project}-${name}-${alphanum(4)}'}\n"
    ),
    "stacks/Pulumi.more.yaml": (
        "config:\n  letters:words: 'queue,parameter'\n  aws:region: eu-west-1\n  azure-native:location: northeurope\n"
    ),
    "stacks/Pulumi.nowhere.yaml": "config:\n  letters:words: 'north'\n  aws:region: eu-west-1\n",
    "stacks/Pulumi.wrong.yaml": "config:\n  letters:wrods: 'alpha'\n",
    "letters/__init__.py": "",
    "letters/settings.py": (
        "def check(file, stack):\n"
        "    if 'letters:words' not in file.values:\n"
        "        raise ValueError(f'letters:words is not set in {stack}')\n"
    ),
    "__main__.py": (
        "import json\n"
        "\n"
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "import pulumi_azure_native as azure\n"
        "\n"
        "words = pulumi.Config().require('words').split(',')\n"
        "groups = [aws.cloudwatch.LogGroup(word, name=f'/letters/{word}', retention_in_days=30) for word in words]\n"
        "pulumi.export('groups', pulumi.Output.all(*(group.name for group in groups)))\n"
        "if 'queue' in words:\n"
        "    stream = aws.kinesis.Stream('stream', shard_count=1)\n"
        "    aws.ssm.Parameter('parameter', type='String', value=stream.arn)\n"
        "\n"
        "bucket = aws.s3.Bucket('Reports')\n"
        "aws.s3.BucketVersioning(\n"
        "    'reports', bucket=bucket.bucket, versioning_configuration={'status': 'Enabled'}\n"
        ")\n"
        "trust = {'Effect': 'Allow', 'Principal': {'Service': 'ec2.amazonaws.com'}, 'Action': 'sts:AssumeRole'}\n"
        "policy = json.dumps({'Version': '2012-10-17', 'Statement': [trust]})\n"
        "role = aws.iam.Role('reader', assume_role_policy=policy)\n"
        "if 'north' in words:\n"
        "    north = pulumi.ResourceOptions(provider=azure.Provider('north', location='northeurope'))\n"
        "    azure.resources.ResourceGroup('north', opts=north)\n"
        "group = azure.resources.ResourceGroup('data')\n"
        "account = azure.storage.StorageAccount(\n"
        "    'data', resource_group_name=group.name, sku={'name': 'Standard_LRS'}, kind='StorageV2'\n"
        ")\n"
        "container = azure.storage.BlobContainer(\n"
        "    'raw', resource_group_name=group.name, account_name=account.name\n"
        ")\n"
        "pulumi.export('bucket', bucket.bucket)\n"
        "pulumi.export('role', role.name)\n"
        "pulumi.export('store', pulumi.Output.concat(group.name, '/', account.name, '/', container.name))\n"
        "pulumi.export('location', account.location)\n"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("letters"), FILES)


def test_it_is_rehearsed_from_its_own_folder_and_leaves_its_files_alone(folder: Path) -> None:
    run = rehearse(folder, "up", "test")
    assert run.returncode == 0, run.output
    assert "0 changes" in run.output
    assert "/letters/alpha" in run.output
    assert "2  aws cloudwatch" in run.output
    assert re.search(r"bucket +reports-[0-9a-f]{7}\n", run.output)
    assert re.search(r"role +letters-reader-[0-9a-z]{4}\n", run.output)
    assert re.search(r"store +data[0-9a-f]{8}/data[0-9a-f]{8}/raw\n", run.output)
    assert re.search(r"location +northeurope\n", run.output)
    assert "exempt" not in run.output, "this project has no policies, and so no exceptions"
    assert {name: (folder / name).read_text() for name in FILES} == FILES
    record = json.loads((folder / ".groundwork" / "rehearsals" / "test" / "record.json").read_text())
    assert (record["failures"], list(record["steps"])) == ([], ["preview", "up", "second preview"])
    destroyed = rehearse(folder, "destroy", "test")
    assert destroyed.returncode == 0
    assert "The rehearsal of test is destroyed." in destroyed.output


def test_a_rehearsal_that_never_began_is_not_destroyed(folder: Path) -> None:
    reply = rehearse(folder, "destroy", "more")
    assert reply.returncode == 1
    assert "There is no rehearsal of more to destroy. `make rehearse STACK=more` begins one." in reply.output
    assert not (folder / ".groundwork" / "rehearsals" / "more").exists()


def test_all_types_without_a_model_are_listed_in_the_preview_and_nothing_is_created(folder: Path) -> None:
    run = rehearse(folder, "up", "more")
    assert run.returncode == 1
    assert (
        "error: The simulated clouds have no model of these resource types:\n"
        "  aws:kinesis/stream:Stream\n"
        "  aws:ssm/parameter:Parameter\n"
        "Groundwork's CONTRIBUTING.md says how to add one"
    ) in run.output
    assert "the simulated aws has no model of aws:kinesis/stream:Stream" in run.output
    assert "\nUp:" not in run.output


def test_each_instance_of_a_provider_has_its_own_configuration(folder: Path) -> None:
    """What the program configures a provider of its own with is nothing that the default provider knows."""
    run = rehearse(folder, "up", "nowhere")
    assert run.returncode == 1
    assert "missing required property 'location'" in run.output
    assert "azure-native:resources:ResourceGroup north created" not in run.output


def test_its_own_check_of_settings_comes_before_the_engine(folder: Path) -> None:
    run = rehearse(folder, "up", "wrong")
    assert (run.returncode, run.output.strip()) == (1, "error: letters:words is not set in wrong")


def test_an_unknown_stack_is_an_error_that_lists_this_projects_stacks(folder: Path) -> None:
    run = rehearse(folder, "up", "azure-dev")
    assert "stacks/Pulumi.azure-dev.yaml does not exist. Stacks are more, nowhere, test, wrong" in run.output
