"""Settings as the text of a stack's file, with the settings that every stack needs."""

from __future__ import annotations

from infra.core.settings import Cloud, Settings
from infra.core.stack_config import check
from kernel import stack_file

NEEDED = {
    Cloud.AZURE: "cloud: azure\nlocation: westeurope\n",
    Cloud.AWS: "cloud: aws\nlocation: eu-west-1\n",
}
COMMON = "environment: dev\norganization: acme\nowner: ml\ncluster: {privateAccessFrom: [10.0.0.0/24]}\n"


def parse(text: str, cloud: Cloud = Cloud.AZURE) -> Settings:
    """The settings of a stack's file with these lines and the settings that every stack needs."""
    needed = [line for line in (NEEDED[cloud] + COMMON).splitlines() if f"{line.split(':')[0]}:" not in _keys(text)]
    lines = [*text.splitlines(), *needed]
    content = "config:\n" + "\n".join(f"  {line}" for line in lines) + "\n"
    return check(stack_file.parse(content.encode(), "groundwork", "stacks/Pulumi.test.yaml"), "test")


def _keys(text: str) -> set[str]:
    return {line.split(" ")[0].removeprefix("groundwork:") for line in text.splitlines()}
