"""`make prices`: read the clouds' public price lists again."""

from __future__ import annotations

import sys

from estimates.refresh import PriceListError, refresh


def main() -> int:
    """Refresh each cloud's table; a list that cannot be read leaves its table as it is."""
    failed = False
    for cloud in ("azure", "aws"):
        try:
            print(refresh(cloud).describe(), flush=True)
        except PriceListError as error:
            failed = True
            print(
                f"error: {error}. estimates/prices/{cloud}.yaml stays as it is, and each of its prices says how old it "
                "is. Try again on a machine that can reach the list.",
                file=sys.stderr,
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
