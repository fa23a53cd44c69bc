"""Which values a setting accepts, and the message for an invalid one: the setting, its line, the rule and the remedy.

Proves it from the text of a stack's file to the message, for each rule and each way to write a value wrongly;
test_setting_examples tries arbitrary values. The limits themselves come from the clouds' documentation, which
infra/core/settings/limits.py cites; no test can prove those. tests/engine proves that the engine shows
the same message and stops before it changes anything.
"""

from __future__ import annotations

import pytest

from infra.core.settings import Cloud
from infra.core.stack_config import check
from kernel import stack_file
from tests.support.setting_texts import COMMON, NEEDED, parse


def refusal(text: str, cloud: Cloud = Cloud.AZURE) -> str:
    with pytest.raises(ValueError, match="not valid; nothing has been changed") as caught:
        parse(text, cloud)
    return str(caught.value)


def cluster(text: str) -> str:
    return f"cluster: {{privateAccessFrom: [10.0.0.0/24], {text}}}"


AZURE, AWS = Cloud.AZURE, Cloud.AWS


@pytest.mark.parametrize(
    ("cloud", "text", "problem", "remedy"),
    [
        (AZURE, "cloud: gcp", "groundwork:cloud = 'gcp' (line 2): must be azure or aws.", "use one of them"),
        (AZURE, "cloud: Azure", "groundwork:cloud = 'Azure' (line 2): must be azure or aws.", "write azure"),
        (AZURE, "environment: produktion", "must be dev, staging or prod.", "use one of them"),
        (AZURE, "location: eu-west-1", "location = 'eu-west-1' (line 2): is a region of aws", "such as westeurope"),
        (AWS, "location: us-west-1", "is not a region of aws with three availability zones", "docs/settings.md lists"),
        (AZURE, "location: West Europe", "is not a region of azure", "use westeurope, if that is what you mean"),
        (AZURE, "location: nowhere", "is not a region of azure", "use a region such as westeurope; docs/settings.md"),
        (AZURE, "owner: R&D #1", "owner = 'R&D' (line 2): is followed by #1, which YAML reads", 'quotes, as in "R&D'),
        (AWS, "owner: Team #1", "owner = 'Team' (line 2): is followed by #1, which YAML reads", "write it without #"),
        (AZURE, "tags: {a: b}\ncostCenter: a #b c", "costCenter = 'a' (line 3): is followed by #b c", "a space after"),
        (AZURE, "organization: Acme Inc", "must be 2 to 8 lower-case letters and digits", "write acmeinc"),
        (AZURE, "organization: Umbrella Corp", "must be 2 to 8 lower-case letters", "shorten it, such as acme"),
        (AZURE, "sso: {issuer: 'https://id.example.com'}", "sso.authorizationUrl is not set, but", "remove sso.issuer"),
        (AZURE, "sso: {adminGroup: admins}", "adminGroup = 'admins' (line 2): has no meaning", "set the issuer, or"),
        (AZURE, "sso: {issuer: id.example.com}", "must be an https:// URL", "write it like https://"),
        (AZURE, "sso: {adminGroup: \"a', 'b\"}", "must be a group's name or ID", "in the claim `groups`"),
        (AZURE, "sso: {clientSecret: 'p&ss word'}", "must be the name of a secret in", "write that name"),
        (AZURE, "gitops: {repository: git.example.com/m}", "must be the https URL of a git repository", "like https://"),
        (AZURE, "gitops: {repository: 'http://git.example.com/models'}", "must be the https URL", "write it like https://"),
        (AZURE, "gitops: {repository: 'https://me:pw@git.example.com/m'}", "contains credentials", "before the @"),
        (AZURE, "gitops: {revision: 'main..x'}", "must be a branch, a tag or a commit", "write it like main"),
        (AZURE, "gitops: {path: ../models}", "must be a folder of the repository", "write it like stacks/azure-dev"),
        (AZURE, "gitops: {repository: 'git@git.example.com:acme/m'}", "must be the https URL of a git", "like https://"),
        (AZURE, "gitops: {repository: 'https://git.example.com'}", "a host and a path", "git.example.com/acme/models"),
        (AZURE, "gitops: {repository: 'https://git..example.com/m'}", "must be the https URL of a git", "like https://"),
        (AZURE, "gitops: {path: stacks/prod}", "must end with the stack's name, test", "stacks/test, or remove it"),
        (AZURE, "gitops: {path: test}", "must not be at the root of the repository", "write it like stacks/test"),
        (AZURE, "gitops: {path: stacks/test}", "has no meaning without gitops.repository", "set gitops.repository, or"),
        (AZURE, "gitops: {tokenSecret: git-token}", "= 'git-token' (line 2): has no meaning without", "or remove it"),
        (AZURE, "pipelines: {enabled: true}", "= true (line 2): needs gitops.repository", "set gitops.repository to"),
        (AZURE, "images: {promotion: latest}", "promotion = 'latest' (line 2): must be the digest of an", "the push"),
        (AZURE, "images: {registries: ['*/*']}", "must be a pattern for images", "like registry.example.com/ml/*"),
        (AZURE, "images: {registries: [example.com]}", "must be a pattern for images", "like registry.example.com/"),
        (AZURE, "lifecycle: {gitToken: ghp_abc}", "must be the name of a secret in the stack's store", "as git-token"),
        (
            AZURE,
            "gitops: {repository: 'https://git.example.com/models.git'}\nlifecycle: {pullRequests: true}",
            "needs a repository whose URL names a project of the forge, owner/name",
            "like https://github.com/acme/models.git",
        ),
        (AZURE, "lifecycle: {dispatchProject: ml-platform}", "by its owner and its name", "write it like acme/ml-"),
        (AZURE, "lifecycle: {dispatchProject: a/b, dispatchToken: ''}", "events are sent to", "such as dispatch-token"),
        (AZURE, "lifecycle: {dispatchProject: a/b, forgeUrl: ''}", "events are sent there", "for GitHub's"),
        (AZURE, "lifecycle: {pullRequests: true, forgeUrl: ''}", "pull requests are opened there", "for GitHub's"),
        (
            AWS,
            f"images: {{promotion: 'sha256:{'a' * 64}'}}\nlifecycle: {{gitToken: ''}}",
            "must name a secret, with which promotions are pushed to the GitOps repository",
            "or remove images.promotion",
        ),
        (AZURE, "organization: xbox1", "a word that Azure reserves in names", "without login, xbox, microsoft"),
        (AZURE, "owner: ' ml'", "one line of 1 to 64 characters without leading or trailing spaces", "such as ml"),
        (AZURE, 'owner: "a\\nb"', "must be one line", "such as ml-platform"),
        (AWS, "owner: 'R&D #1'", "owner = 'R&D #1' (line 2): has characters that a tag cannot have on AWS", "without"),
        (AWS, "costCenter: aws:1", "begins with aws:, which AWS reserves", "without this prefix"),
        (AZURE, "account: '123456789012'", "has no meaning on azure", "pinned by subscription and tenant"),
        (AWS, "account: '1234'", "must be the 12 digits of an AWS account's ID", "aws sts get-caller-identity"),
        (AZURE, "subscription: contoso", "must be an ID like 11111111-", "az account show"),
        (AZURE, "tenant: contoso.com", "must be an ID like 11111111-", "az account show"),
        (AZURE, "gateway: {domain: ml_ex}", "gateway.domain = 'ml_ex' (line 2): must be a DNS name", "ml.example.com"),
        (AZURE, "gateway: {domain: '*.ml.example.com'}", "this one has the label '*'", "without scheme, wildcard"),
        (AZURE, "gateway: {domain: 'https://ml.example.com'}", "has the label 'https://ml'", "without scheme"),
        (AZURE, "gateway: {domain: 'a_b.example'}", "has the label 'a_b'; a label has only lower", "ml.example.com"),
        (AZURE, "gateway: {domain: Ml.example.com}", "has the label 'Ml'; a label has only lower", "ml.example.com"),
        (AZURE, "gateway: {domain: -a.com}", "has the label '-a'; a label has only", "ml.example.com"),
        (AZURE, "gateway: {domain: a-.com}", "has the label 'a-'; a label has only", "ml.example.com"),
        (AZURE, "gateway: {domain: 'ml.example.com:443'}", "has the label 'com:443'", "wildcard, port or trailing"),
        (AZURE, "gateway: {domain: x..y}", "must be a DNS name of two or more labels", "ml.example.com"),
        (AZURE, "gateway: {domain: ml.example.com.}", "has an empty label", "wildcard, port or trailing period"),
        (AZURE, "gateway: {domain: example}", "gateway.domain = 'example' (line 2): must be", "ml.example.com"),
        (AZURE, "gateway: {domain: 10.20.0.4}", "this one ends with a number, as an IP address", "like ml.example.com"),
        (AZURE, f"gateway: {{domain: {'a' * 64}.com}}", "of 64 characters, but a label has at most", "ml.example.com"),
        (AZURE, f"gateway: {{domain: {'a.' * 94}com}}", "has 191 characters; 189 leave room for", "ml.example.com"),
        (AZURE, "gateway: {issuer: letsencrypt}", "gateway.issuer = 'letsencrypt' (line 2): must be", "use one of"),
        (AZURE, "gateway: {issuer: acme}", "gateway.domain is not set, and an ACME server", "to self-signed"),
        (AZURE, "gateway: {issuer: acme, domain: ml.example.com}", "gateway.acmeServer is not set", "self-signed"),
        (AZURE, "gateway: {acmeServer: acme.example.com}", "must be an https:// URL", "write it like https://acme"),
        (AZURE, "gateway: {acmeServer: 'https://acme.example.com'}", "no meaning unless gateway.issuer", "to acme, or"),
        (AZURE, "gateway: {acmeHosts: [mlflow]}", '= ["mlflow"] (line 2): has no meaning unless', "or remove it"),
        (AZURE, "gateway: {acmeHosts: [ml.flow]}", "acmeHosts[0] = 'ml.flow' (line 2): must be one label", "mlflow"),
        *(
            (cloud, f"maintenance: {time}", "must be a day of the week and a full hour in UTC", "like Sunday 22:00")
            for cloud in Cloud
            for time in ("Sunday", "22:00 Sunday", "sunday 22:00", "Sunday 22:30", "Sunday 24:00", "Someday 02:00")
        ),
        (AZURE, "network: {cidr: 10.0.0.0/33}", "this one has no prefix length from /0 to /32", "10.20.0.0/16"),
        (AZURE, "network: {cidr: 10.40.0.0}", "= '10.40.0.0' (line 2): must be an IPv4 block", "as in 10.40.0.0/16."),
        (AZURE, "cluster: {privateAccessFrom: [10.9.0.7]}", "this one has no prefix length", "as in 10.9.0.0/16."),
        (AZURE, "cluster: {authorizedRanges: [203.0.114.0]}", "has no prefix", "203.0.114.0/32 for a single address"),
        (AZURE, "network: {cidr: 10.0.0.300/16}", "this one is not an IPv4 address", "10.20.0.0/16"),
        (AZURE, "network: {cidr: 10.0.0.1/16}", "is not the first address of its block, 10.0.0.0/16", "write 10.0.0.0"),
        (AZURE, "network: {cidr: 8.8.0.0/16}", "must be in a private range", "172.16/12"),
        (AZURE, "network: {cidr: 10.0.0.0/24}", "must be between /16 and /20", "use 10.0.0.0/16, if that is free"),
        (AZURE, "network: {cidr: 10.244.0.0/16}", "network.cidr = '10.244.0.0/16' (line 2): overlaps podCidr", "each"),
        (AZURE, "network: {cidr: 172.30.0.0/16}", "overlaps 172.30.0.0/16, which AKS reserves", "10.0.0.0/8"),
        (AZURE, "network: {serviceCidr: 172.31.0.0/20}", "overlaps 172.31.0.0/16, which AKS reserves", "10.0.0.0/8"),
        (AZURE, "network: {podCidr: 172.30.0.0/16}", "overlaps 172.30.0.0/16, which AKS reserves", "10.0.0.0/8"),
        (AZURE, "network: {serviceCidr: 172.20.0.0/29}", "must be between /13 and /28 on azure", "172.20.0.0/16"),
        (AWS, "network: {serviceCidr: 172.20.0.0/26}", "must be between /12 and /24 on aws", "172.20.0.0/16"),
        (AWS, "network: {cidr: 172.17.0.0/16}", "overlaps 172.17.0.0/16, which AWS reserves", "10.0.0.0/8"),
        (AZURE, "network: {podCidr: 10.244.0.0/21}", "has room for 8 nodes, each with a /24; the pools can", "a /20"),
        (AZURE, "network: {hub: hub}", "does not have the form of such an ID on azure", "virtualNetworks/hub"),
        (AZURE, cluster("admins: [ml]"), "cluster.admins[0] = 'ml' (line 2): does not have the form", "write it like"),
        (AZURE, cluster("kubernetesVersion: '1.20'"), "kubernetesVersion = '1.20' (line 2): is not offered", "1.36"),
        (AZURE, cluster("kubernetesVersion: '1.33'"), "its standard support on AKS ends on 2026-07-31", "use one of"),
        (AZURE, cluster("userPool: {minimum: 11}"), "minimum = 11 (line 2): is above maximum 10", "raise the maximum"),
        (AZURE, cluster("userPool: {size: m6i.xlarge}"), "is not spelled like a size of azure", "Standard_D4s_v5"),
        (AZURE, cluster("userPool: {size: standard_d4s_v5}"), "is not spelled like", "upper and lower case"),
        (AWS, cluster("userPool: {size: Standard_D4s_v5}"), "is not spelled like a size of aws", "m6i.xlarge"),
        (AZURE, cluster("gpuPool: {size: Standard_D4s_v5}"), "size = 'Standard_D4s_v5' (line 2): is not a", "T4_v3"),
        (AZURE, cluster("gpuPool: {size: Standard_NV4as_v4}"), "is not a size of azure with NVIDIA GPUs", "_T4_v3"),
        (AZURE, cluster("gpuPool: {size: g5.xlarge}"), "is not a size of azure with NVIDIA GPUs", "_T4_v3"),
        (AWS, cluster("gpuPool: {size: m6i.xlarge}"), "'m6i.xlarge' (line 2): is not a size of aws with", "g5.xlarge"),
        (AWS, cluster("gpuPool: {size: g4ad.xlarge}"), "is not a size of aws with NVIDIA GPUs", "or remove it"),
        (AWS, cluster("gpuPool: {size: g5.xlarge, maximum: 0}"), "= 0 (line 2): must be 1 to 100 nodes", "1 to"),
        (AZURE, cluster("gpuPool: {maximum: 2}"), "has no meaning without cluster.gpuPool.size", "or remove it"),
        (AZURE, cluster("gpuPool: Standard_NC4as_T4_v3"), "is a section, not a setting", "size, maximum"),
        (AZURE, cluster("systemPool: {size: Standard_B4ms}"), "too small for AKS", "Standard_D4s_v5"),
        (AZURE, cluster("systemPool: {size: Standard_F1s}"), "too small for AKS", "Standard_D4s_v5"),
        (AZURE, cluster("login: interactive"), "must be azurecli, workloadidentity, msi, spn or device", "one of them"),
        (AZURE, "cluster: {authorizedRanges: [0.0.0.0/0]}", "authorizedRanges[0] = '0.0.0.0/0' (line 2): opens", "l"),
        (AZURE, "cluster: {authorizedRanges: [10.0.0.0/8]}", "from which nothing reaches a public", "privateAccess"),
        (AZURE, "cluster: {userPool: {maximum: 3}}", "nobody could reach the Kubernetes API", "set it to the"),
        (AZURE, cluster("authorizedRanges: [203.0.113.0/24]"), "privateAccessFrom is for a private one", "remove one"),
        (AZURE, "cluster: {privateAccessFrom: [203.0.113.0/24]}", "must be in a private range", "10/8"),
        (AZURE, "cluster: {privateAccessFrom: [10.244.8.0/24]}", "overlaps network.podCidr 10.244.0.0/16", "that no"),
        (AWS, "cluster: {privateAccessFrom: [172.20.8.0/24]}", "overlaps network.serviceCidr", "no connected network"),
        (AZURE, "database: {storageGb: 100}", "is not a disk size of Azure Database for PostgreSQL", "32, 64, 128"),
        (AZURE, "database: {storageGb: 1}", "storageGb = 1 (line 2): must be 32 to 16384 GiB", "from 32 to 16384 GiB"),
        (AZURE, "database: {size: db.t4g.medium}", "is not spelled like a size of azure", "Standard_D2ds_v5"),
        (AWS, "database: {size: m6g.large}", "is not spelled like a size of aws", "db.m6g.large"),
        (AZURE, "database: {backupDays: 40}", "must be 7 to 35 days", "use a value from 7 to 35 days"),
        (AWS, "training: {size: m5.xlarge}", "is not spelled like a size of aws", "ml.m5.xlarge"),
        (AWS, "training: {outboundHosts: [pypi.org]}", "has no meaning on aws, where jobs reach all", "remove it"),
        (AZURE, "training: {outboundHosts: ['https://pypi.org']}", "must be a host's name", "pypi.org or"),
        (AZURE, "training: {outboundHosts: [a.blob.core.windows.net]}", "is a host of Azure Storage", "remove it"),
        (AZURE, "resilience: {multiZoneDatabase: true}", "is burstable, and such servers cannot", "Standard_D2ds_v5"),
        (AZURE, "resilience: {experimentsBackupDays: 8}", "must be 7 or 30 days", "use one of them"),
        (AZURE, "resilience: {secretRecoveryDays: 5}", "must be 7 to 30 days", "use a value from 7 to 30 days"),
        (AZURE, "resilience: {secondLocation: uksouth}", "is not the region that Azure pairs with", "use northeurope"),
        (AWS, "resilience: {secondLocation: eu-west-1}", "is the stack's own region", "name another, such as eu-c"),
        (AWS, "resilience: {secondLocation: westus}", "is not a region that stacks can be in", "name another"),
        (AWS, "resilience: {backupStore: acme-backups}", "must be the URL of a bucket", "s3://acme-backups/stacks"),
        (AWS, "resilience: {standby: aws-west}", "has no meaning without resilience.backupStore", "set resilience.b"),
        (
            AWS,
            "resilience: {standby: test, backupStore: 's3://acme-backups'}",
            "is the stack itself",
            "name a stack in another region",
        ),
        (AZURE, "telemetry: {retentionDays: 5}", "must be 30 to 731 days", "use a value from 30 to 731 days"),
        (AZURE, "telemetry: {retentionDays: 731}", "longer than the retention of Log Analytics", "30 to 730"),
        (AWS, "telemetry: {retentionDays: 100}", "is not a retention time of CloudWatch", "use 120"),
        (AZURE, "alerting: {smtpHost: smtp.example.com}", "must be a host's name in lower case and a port", "587"),
        (AZURE, "alerting: {smtpHost: 'smtp.example.com:587'}", "has no recipient for e-mail", "set telemetry"),
        (AZURE, "alerting: {smtpUser: robot}", "has no meaning without alerting.smtpHost", "set it, or remove"),
        (
            AZURE,
            "alerting: {smtpHost: 'smtp.example.com:25', smtpUser: robot}\ntelemetry: {alertEmail: a@example.com}",
            "is set without alerting.smtpPassword",
            "set alerting.smtpPassword too",
        ),
        (AZURE, "cost: {monthlyBudget: 500}", "has no recipient for its alerts", "set telemetry.alertEmail"),
        (AZURE, "telemetry: {alertEmail: nobody}", "must be one e-mail address", "ml-oncall@example.com"),
        (AZURE, "telemetry: {alertEmail: 'a@example.com, b@example.com'}", "must be one e-mail", "address of a group"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed(cloud: Cloud, text: str, problem: str, remedy: str) -> None:
    first, second = refusal(text, cloud).splitlines()[1:3]
    assert first.startswith("  - groundwork:")
    assert problem in first
    assert second.startswith("    Remedy: ")
    assert remedy in second


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        (
            cluster("kubernetesVersion: 1.36"),
            "cluster.kubernetesVersion = 1.36 (line 2): must be text, but is read as a number.",
            ["put it in quotes:", "groundwork:cluster:", '  kubernetesVersion: "1.36"'],
        ),
        (
            cluster("kubernetesVersion: 1.30"),
            "kubernetesVersion = 1.3 (line 2): must be text, but is read as a number",
            ["put it in quotes:", "groundwork:cluster:", '  kubernetesVersion: "1.30"'],
        ),
        (
            "network.cidr: 10.30.0.0/16",
            "groundwork:network.cidr (line 2) is not a setting: a period in a key does not lead into a section.",
            ["write it in its section:", "groundwork:network:", "  cidr: 10.30.0.0/16"],
        ),
        (
            "cluster.userPool.minimum: 3",
            "is not a setting: a period in a key does not lead",
            ["write it in its section:", "groundwork:cluster:", "  userPool:", '    minimum: 3'],
        ),
        (
            "kubernetesVersion: '1.36'",
            "groundwork:kubernetesVersion (line 2) is not a setting.",
            [
                "use 'cluster.kubernetesVersion', if that is what you mean:",
                "groundwork:cluster:",
                '  kubernetesVersion: "1.36"',
            ],
        ),
        ("colud: azure", "groundwork:colud (line 2) is not a setting.", ["use 'cloud', if that is what you mean."]),
        ("cost_center: a", "is not a setting.", ["use 'costCenter', if that is what you mean."]),
        ("zzz: 1", "is not a setting.", ["remove it; the settings here are cloud, environment"]),
        ("cluster: big", "cluster = 'big' (line 2): is a section, not a setting.", ["write its settings below it"]),
        ("network:", "groundwork:network (line 2) has no value.", ["remove the line, or give it a value."]),
        ("database: {storageGb: }", "database.storageGb (line 2) has no value.", ["remove the line, or give it a"]),
        ("database: {storageGb: '64'}", "must be 32 to 16384 GiB, but is text.", ["remove the quotes:", "gr", "  s"]),
        ("database: {storageGb: 64.5}", "must be a whole number, 32 to 16384 GiB.", ["use a value from 32"]),
        ("database: {storageGb: true}", "storageGb = true (line 2): must be a whole number", ["use a value from 32"]),
        ("database: {storageGb: [64]}", "must be one value, not a list.", ["write it like this:", "ground", "  s"]),
        ("resilience: {retainData: no}", "retainData = 'no' (line 2): must be true or false.", ["write true or false"]),
        ("resilience: {retainData: 'true'}", "must be true or false, but is text.", ["remove the quotes:", "g", "  r"]),
        ("resilience: {retainData: 1}", "must be true or false.", ["write true or false, without quotes."]),
        ("owner: {team: ml}", "owner (line 2): must be one value, not a section.", ["write it like this:", "groundw"]),
        ("owner: [ml]", "owner (line 2): must be one value, not a list.", ["write it like this:", "groundwork:own"]),
        (
            "owner: 0042",
            "groundwork:owner (line 2) is written as 0042, which YAML reads as \"34\".",
            ["put it in quotes:", 'groundwork:owner: "0042"'],
        ),
        ("owner: 2026-11-28", "is written as 2026-11-28, which YAML reads as", ["put it in quotes:", "groundwork:o"]),
        ("costCenter: 1e3", "is written as 1e3, which YAML reads as \"1000\"", ["put it in quotes:", "groundwork:c"]),
        (
            "cluster: {authorizedRanges: 203.0.113.0/24}",
            "authorizedRanges = '203.0.113.0/24' (line 2): must be a list.",
            ["write it as a list:", "groundwork:cluster:", "  authorizedRanges:", "    - 203.0.113.0/24"],
        ),
        ("owner: {secure: x}", "owner (line 2) is encrypted, but no setting is a secret", ["write it as plain text."]),
    ],
)  # fmt: skip
def test_a_value_that_is_written_wrongly(text: str, problem: str, remedy: list[str]) -> None:
    lines = refusal(text).splitlines()
    assert problem in lines[1]
    assert lines[2].startswith(f"    Remedy: {remedy[0]}")
    for line, expected in zip(lines[3:], remedy[1:], strict=False):
        assert line.startswith(f"        {expected}")
    assert len(lines) == 3 + len(remedy), "other faults are reported beside this one"


@pytest.mark.parametrize("name", ["environmnt", "locaton", "Organisation", "ownr", "clod"])
def test_a_misspelt_setting_is_not_also_reported_as_missing(name: str) -> None:
    meant = {"Organisation": "organization", "environmnt": "environment", "locaton": "location", "clod": "cloud"}
    lines = (NEEDED[AZURE] + COMMON).replace(f"{meant.get(name, 'owner')}:", f"{name}:").splitlines()
    text = "config:\n" + "\n".join(f"  {line}" for line in lines)
    with pytest.raises(ValueError, match="not valid") as caught:
        check(stack_file.parse(text.encode(), "groundwork", "stacks/Pulumi.test.yaml"), "test")
    assert f"groundwork:{name} (line " in str(caught.value)
    assert str(caught.value).count("  - ") == 1


@pytest.mark.parametrize("text", ["owner: ml # one", "owner: ml  ## one", "owner: 'R&D #1'", "owner: a#b"])
def test_a_comment_after_a_text_is_read_as_a_comment(text: str) -> None:
    assert parse(text).owner in ("ml", "R&D #1", "a#b")


def test_a_missing_setting_is_shown_as_it_is_written() -> None:
    with pytest.raises(ValueError, match="not valid") as caught:
        check(stack_file.parse(b"config:\n  cloud: aws\n", "groundwork", "stacks/Pulumi.test.yaml"), "test")
    message = str(caught.value)
    assert "groundwork:location is not set: region with three availability zones" in message
    assert "        groundwork:location: eu-west-1\n" in message
    assert message.count(" is not set: ") == 4


def test_all_faults_are_reported_together_and_each_only_once() -> None:
    text = (
        "location: eu-west-1\norganization: 7\nowner: 0042\ncolud: x\n"
        "network: {cidr: 10.0.0.0/24, podCidr: nonsense, serviceCidr: 172.31.0.0/16}\n"
        "cluster: {kubernetesVersion: 1.20, userPool: {minimum: 9, maximum: 3}}\ndatabase: {storageGb: 100}"
    )
    message = refusal(text)
    reported = [line.split(" ")[3] for line in message.splitlines() if line.startswith("  - ")]
    assert sorted(setting.rstrip(":") for setting in reported) == [
        "groundwork:cluster.authorizedRanges",
        "groundwork:cluster.kubernetesVersion",
        "groundwork:cluster.userPool.minimum",
        "groundwork:colud",
        "groundwork:database.storageGb",
        "groundwork:location",
        "groundwork:network.cidr",
        "groundwork:network.podCidr",
        "groundwork:network.serviceCidr",
        "groundwork:organization",
        "groundwork:owner",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("owner: ml\nconfig:\n", "groundwork:owner is beside `config:`, where the engine does not look."),
        ("config:\n  groundwrok:owner: ml\n", "groundwork:owner is written as groundwrok:owner"),
    ],
)
def test_a_setting_that_the_engine_does_not_find(content: str, message: str) -> None:
    with pytest.raises(ValueError, match="not valid") as caught:
        check(stack_file.parse(content.encode(), "groundwork", "stacks/Pulumi.test.yaml"), "test")
    assert message in str(caught.value)
    assert "owner is not set" not in str(caught.value)


@pytest.mark.parametrize("domain", ["a.b", "1.2.c", "xn--mnchen-3ya.example", f"{'a' * 63}.com", f"{'a.' * 93}com"])
def test_a_domain_of_rfc_1123_is_allowed(domain: str) -> None:
    assert parse(f"gateway: {{domain: {domain}}}").gateway.domain == domain


def test_no_two_stacks_can_have_the_same_folder() -> None:
    """A file that names another stack's folder is refused, and the message says which stack it belongs to."""
    message = refusal("gitops: {repository: 'https://git.example.com/m', path: stacks/azure-prod}")
    assert message.splitlines()[1:3] == [
        "  - groundwork:gitops.path = 'stacks/azure-prod' (line 2): must end with the stack's name, test; "
        "this would be the folder of a stack named azure-prod, and stacks that share a folder would roll out each "
        "other's models.",
        "    Remedy: write it like stacks/test, or remove it.",
    ]


def test_pods_have_no_block_of_their_own_on_aws() -> None:
    assert parse("network: {cidr: 10.244.0.0/16}", Cloud.AWS).network.cidr == "10.244.0.0/16"
