"""The delivery of an alert with a stack's programs and configuration: Prometheus, Alertmanager and a receiver.

Two things differ from the stack. The files with the receivers' addresses, which External Secrets would provide, name a
receiver on this machine. And no alert has to hold for longer than a minute, or a shorter limit, before it fires.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from rehearsal.kubernetes.control_plane.control_plane import HOST

LONGEST_FOR = 60  # seconds; the longest `for` of a rule that a rehearsal waits for
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Document = Mapping[str, Any]


def read_duration(text: str) -> int:
    """A duration as Prometheus writes it, such as `1h30m`, in seconds."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def shorten(rule: Document, longest: int) -> Document:
    """The rule with a `for` of at most `longest` seconds; everything else is unchanged."""
    if read_duration(rule.get("for", "0s")) <= longest:
        return rule
    return {**rule, "for": f"{longest}s"}


def write_rules(groups: Iterable[Document], file: Path, longest: int = LONGEST_FOR) -> None:
    """Write groups of rules, each with a `for` of at most `longest` seconds."""
    shortened = [{**group, "rules": [shorten(rule, longest) for rule in group["rules"]]} for group in groups]
    file.write_text(yaml.safe_dump({"groups": shortened}))


def write_alertmanager_config(config: Document, folder: Path, receiver: str) -> Path:
    """Write Alertmanager's configuration, and files for its secrets, which contain addresses of `receiver`.

    The address in a secret's file ends with the file's name, which is the setting's: `/slack`. Returns the path of
    the configuration.
    """
    text = json.dumps(config)
    secrets = folder / "receivers"
    secrets.mkdir()
    for path in set(re.findall(r'_file": "([^"]+)"', text)):
        name = Path(path).name
        (secrets / name).write_text(f"{receiver}/{name}")
        text = text.replace(f'"{path}"', json.dumps(str(secrets / name)))
    file = folder / "alertmanager.yml"
    file.write_text(text)  # JSON is YAML
    return file


def build_alertmanager_command(program: Path, config: Path, port: int) -> list[str]:
    """The command of a single replica, without gossip."""
    storage = config.parent / "alertmanager"
    options = [f"--config.file={config}", f"--storage.path={storage}", f"--web.listen-address={HOST}:{port}"]
    return [str(program), *options, "--cluster.listen-address="]


def build_prometheus_command(program: Path, config: Path, port: int) -> list[str]:
    """The command of a Prometheus whose data is beside its configuration."""
    storage = config.parent / "prometheus"
    return [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={storage}",
        f"--web.listen-address={HOST}:{port}",
    ]
