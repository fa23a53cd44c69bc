"""The values that gopkg.in/yaml.v3, the YAML reader of the Pulumi engine, gives to scalars.

Source: https://github.com/go-yaml/yaml/blob/v3.0.1/resolve.go
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

PLAIN = "?"
"""Tag for a scalar without quotes and without a tag: its type depends on its spelling."""

Scalar = None | bool | int | float | str

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_FRACTION = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_TIMESTAMP = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?P<t>[Tt ])(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?"
    r"(?P<zone>Z|[-+]\d\d:\d\d)?)?"
)

_TAGS = "tag:yaml.org,2002:"


def resolve(tag: str, text: str) -> Scalar:
    """The value of a scalar with a tag, `PLAIN` for none. A timestamp becomes the text that the engine formats it as.

    Raises ValueError if the text is not of the tag's type.
    """
    kind = tag.removeprefix(_TAGS)
    if kind == "binary":
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("!!binary is not text in Base64") from None
    if tag != PLAIN and kind not in ("bool", "int", "float", "null", "timestamp"):
        return text
    found, value = _resolve_plain(text)
    if tag == PLAIN or kind == found:
        return value
    if kind == "float" and isinstance(value, int):
        return float(value)
    raise ValueError(f"{text} is not of the type !!{kind}")


def format_number(value: float) -> str:
    """A number as the engine writes it in JSON. Raises ValueError for infinity and NaN, which JSON cannot express."""
    if not math.isfinite(value):
        raise ValueError("infinity and NaN are not valid values of a setting")
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+}"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _resolve_plain(text: str) -> tuple[str, Scalar]:
    """Type and value of a plain scalar."""
    if text in _WORDS:
        word = _WORDS[text]
        return ("null" if word is None else type(word).__name__), word
    if not text or text[0] not in "+-.0123456789":
        return "str", text
    if timestamp := _format_timestamp(text):
        return "timestamp", timestamp
    digits = text.replace("_", "")
    if text[0] != "." and (integer := _INTEGER.fullmatch(digits)):
        value = _parse_integer(integer)
        if -(2**63) <= value < 2**64:
            return "int", value
    # After a decimal point, an underscore must be between digits.
    is_number = _FRACTION.fullmatch(text) if text[0] == "." else _FLOAT.fullmatch(digits)
    if is_number and math.isfinite(float(digits)):
        return "float", float(digits)
    return "str", text


def _parse_integer(match: re.Match[str]) -> int:
    sign, hexadecimal, binary, octal, decimal = match.groups()
    bases = ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10))
    value = next(int(digits, base) for digits, base in bases if digits)
    return -value if sign == "-" else value


def _format_timestamp(text: str) -> str:
    """A timestamp as Go writes it, `2026-11-28 00:00:00 +0000 UTC`; empty if the text is not a timestamp."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None or (match["t"] in ("T", "t")) != bool(match["zone"]):
        return ""
    zone = match["zone"] or "Z"
    offset = timedelta() if zone == "Z" else _parse_offset(zone)
    try:
        parts = [int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")]
        moment = datetime(*parts, tzinfo=timezone(offset) if offset else UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return ""
    fraction = (match["fraction"] or "")[:9].rstrip("0")
    name = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S}{'.' if fraction else ''}{fraction} {name} {name if offset else 'UTC'}"


def _parse_offset(zone: str) -> timedelta:
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return -offset if zone[0] == "-" else offset
