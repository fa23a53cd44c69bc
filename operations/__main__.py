"""`python -m operations <action> <stack>`; `make help` describes the actions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from deploy.errors import DeployError
from deploy.findings import Finding
from operations import (
    backup,
    bootstrap,
    deployment,
    health,
    logs,
    recovery,
    rotation,
    scaling,
    smoke_test,
    status,
    validation,
)
from operations.target import read_target

_Arguments = argparse.Namespace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m operations", description="Work on a deployed stack.")
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument("stack", nargs="?", default="")
    parser.add_argument("--yes", action="store_true", help="change things without asking")
    parser.add_argument("--env", default="", help="deploy: dev, staging or prod")
    parser.add_argument("--cloud", default="", help="deploy: aws or azure")
    parser.add_argument("--workload", default="", help="scale, logs: <namespace>/<name>")
    parser.add_argument("--replicas", type=int, help="scale: number of replicas of the workload")
    parser.add_argument("--pool", default="", help="scale: system, user or gpu")
    parser.add_argument("--minimum", type=int, help="scale: minimum of nodes in the pool")
    parser.add_argument("--maximum", type=int, help="scale: maximum of nodes in the pool")
    parser.add_argument("--since", default="1h", help="logs: how far back, as in 10m")
    parser.add_argument("--planned", action="store_true", help="failover: proceed although the primary answers")
    parser.add_argument("--keep", default="", help="failback: the standby, whose data is kept if both have written")
    parser.add_argument("--backend", default="", help="bootstrap: s3://..., azblob://... or https://api.pulumi.com")
    parser.add_argument("--location", default="", help="bootstrap: region of what it creates")
    arguments = parser.parse_args()
    try:
        return _ACTIONS[arguments.action](arguments)
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _report(title: str, check: Callable[[], list[Finding]]) -> int:
    return 0 if deployment.report(title, check()) else 1


def _validate_config(arguments: _Arguments) -> int:
    return _report(arguments.stack, lambda: deployment.check_settings(arguments.stack))


def _status(arguments: _Arguments) -> int:
    return _report(arguments.stack, lambda: status.describe(read_target(arguments.stack)))


def _health(arguments: _Arguments) -> int:
    return _report(f"Health of {arguments.stack}", lambda: health.check(read_target(arguments.stack)))


def _smoke_test(arguments: _Arguments) -> int:
    return _report(f"Smoke test of {arguments.stack}", lambda: smoke_test.run(read_target(arguments.stack)))


def _scale(arguments: _Arguments) -> int:
    target = read_target(arguments.stack)
    if arguments.pool:
        print(scaling.scale_pool(target, arguments.pool, arguments.minimum, arguments.maximum))
    elif arguments.workload and arguments.replicas is not None:
        print(scaling.scale_workload(target, arguments.workload, arguments.replicas))
    else:
        raise DeployError(
            "`make scale` needs WORKLOAD=<namespace>/<name> and REPLICAS=<number>, or POOL=system|user|gpu with "
            "MINIMUM=<nodes>, MAXIMUM=<nodes> or both."
        )
    return 0


def _logs(arguments: _Arguments) -> int:
    if not arguments.workload:
        raise DeployError("`make logs` needs WORKLOAD=<namespace>/<name>, such as WORKLOAD=mlflow/mlflow.")
    for line in logs.show(read_target(arguments.stack), arguments.workload, arguments.since):
        print(line)
    return 0


def _deploy(arguments: _Arguments) -> int:
    if not (arguments.stack or arguments.env):
        raise DeployError(
            "`make deploy` needs ENV=dev, staging or prod, with CLOUD=aws or CLOUD=azure; or STACK=<stack>."
        )
    name = arguments.stack or deployment.find_stack(arguments.env, arguments.cloud)
    return deployment.deploy(name, is_confirmed=arguments.yes)


def _backup(arguments: _Arguments) -> int:
    done = backup.create(read_target(arguments.stack))
    tables = sum(1 for table in done.rows.values() if table.count)
    rows = sum(table.count for table in done.rows.values())
    print(
        f"Backup {done.name} of {done.stack}: {rows} rows in {tables} tables, {len(done.versions)} model versions, "
        f"{len(done.digests)} of them with an alias. `make restore-test STACK={done.stack}` tests that it restores."
    )
    return 0


def _restore_test(arguments: _Arguments) -> int:
    done = backup.try_restore(read_target(arguments.stack))
    print(f"The backup {done.name} of {done.stack} restores to the rows that were backed up.")
    return 0


def _failover(arguments: _Arguments) -> int:
    recovery.fail_over(arguments.stack, is_planned=arguments.planned)
    return 0


def _failback(arguments: _Arguments) -> int:
    recovery.fail_back(arguments.stack, kept=arguments.keep)
    return 0


def _validate(arguments: _Arguments) -> int:
    return _report(f"Recovery of {arguments.stack}", lambda: validation.validate(arguments.stack))


def _bootstrap(arguments: _Arguments) -> int:
    return bootstrap.run(arguments.backend, arguments.location, is_confirmed=arguments.yes)


def _rotate_secret(arguments: _Arguments) -> int:
    print(rotation.rotate_database_password(read_target(arguments.stack), is_confirmed=arguments.yes))
    return 0


_ACTIONS: dict[str, Callable[[_Arguments], int]] = {
    "validate-config": _validate_config,
    "status": _status,
    "health": _health,
    "smoke-test": _smoke_test,
    "scale": _scale,
    "logs": _logs,
    "deploy": _deploy,
    "backup": _backup,
    "restore-test": _restore_test,
    "failover": _failover,
    "failback": _failback,
    "validate": _validate,
    "bootstrap": _bootstrap,
    "rotate-password": _rotate_secret,
}


if __name__ == "__main__":
    sys.exit(main())
