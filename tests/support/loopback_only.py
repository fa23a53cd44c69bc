"""Runs a command in a separate network namespace with only a loopback device, and counts attempts to leave it.

The kernel counts each packet and connection for which the namespace has no route: requests to a cloud, to its metadata
service, and to a name server. Sources: network_namespaces(7), and IPSTATS_MIB_OUTNOROUTES, which Linux increments in
tcp_v4_connect, udp_sendmsg and ip6_dst_lookup_tail. It needs a Linux on which users can create namespaces.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SET_FLAGS, _UP, _LOOPBACK = 0x8914, 0x1, b"lo"  # SIOCSIFFLAGS and IFF_UP of netdevice(7)
_UNSHARE = ["unshare", "--map-root-user", "--net"]


def find_obstacle() -> str:
    """Why commands cannot be run this way here; empty if they can."""
    if shutil.which("unshare") is None:
        return "unshare is not on PATH"
    tried = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def guard(command: Sequence[str], report: Path) -> list[str]:
    """The command line that runs `command` in this way and writes the number of attempts into `report`."""
    return [*_UNSHARE, sys.executable, __file__, str(report), *command]


def _main() -> int:
    report, *command = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", _LOOPBACK, _UP))
    code = subprocess.run(command, check=False).returncode
    Path(report).write_text(str(_count_attempts()))
    return code


def _count_attempts() -> int:
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    count = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    version_6 = Path("/proc/net/snmp6")
    lines = version_6.read_text().splitlines() if version_6.exists() else []
    return count + sum(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))


if __name__ == "__main__":
    sys.exit(_main())
