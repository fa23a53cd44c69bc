"""Reads the clouds' public price lists again; neither needs an account."""

from estimates.refresh.lists import PriceListError, refresh

__all__ = ["PriceListError", "refresh"]
