"""`python -m lifecycle.gitops set-image`: commits the digest of an image to the stack's overlay, for pipelines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lifecycle.core import read_settings
from lifecycle.core.command_line import report_errors
from lifecycle.core.logs import configure_logging
from lifecycle.gitops.images import DIGEST, publish_digest
from lifecycle.gitops.settings import GitopsSettings


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible, 2 wrong usage."""
    configure_logging()
    parser = argparse.ArgumentParser(prog="python -m lifecycle.gitops", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("set-image", help="change the digest of an image")
    command.add_argument("image", help="its name in `images` of the stack's kustomization")
    command.add_argument("digest", type=_parse_digest)
    options = parser.parse_args(arguments)
    publication = publish_digest(read_settings(GitopsSettings), options.image, options.digest)
    print(f"{options.image}: {publication.pull_request or publication.commit or 'unchanged'}")
    return 0


def _parse_digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise argparse.ArgumentTypeError("must be a digest like sha256:4f0c..., with 64 digits")
    return text


if __name__ == "__main__":
    sys.exit(main())
