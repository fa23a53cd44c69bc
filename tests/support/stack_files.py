"""Settings that YAML parsers read differently, and how the Pulumi engine reads each."""

from __future__ import annotations

# Spelling in the file -> what the program gets; objects and lists as JSON. Expected values come from the engine:
# tests/engine/test_stack_file.py compares them with it.
SPELLINGS: dict[str, str] = {
    "NO": "NO",
    "on": "on",
    "y": "y",
    "True": "true",
    "false": "false",
    "~": "",
    "null": "",
    '""': "",
    "": "",
    "12:30:45": "12:30:45",
    "0042": "34",
    "0089": "89",
    "0o17": "15",
    "0b11": "3",
    "0x1F": "31",
    "+12": "12",
    "1_000": "1000",
    "1_000.5": "1000.5",
    "1.33": "1.33",
    "1.10": "1.1",
    "1.0": "1",
    "1.": "1",
    ".5": "0.5",
    "1e3": "1000",
    "1e22": "1e+22",
    "1.5e-7": "1.5e-7",
    "0.0001": "0.0001",
    "1e400": "1e400",
    "18446744073709551615": "18446744073709551615",
    "99999999999999999999": "100000000000000000000",
    "2026-11-28": "2026-11-28 00:00:00 +0000 UTC",
    "2026-1-2": "2026-01-02 00:00:00 +0000 UTC",
    "2026-11-28T10:20:30.5Z": "2026-11-28 10:20:30.5 +0000 UTC",
    "2026-11-28 10:20:30": "2026-11-28 10:20:30 +0000 UTC",
    "2026-13-01": "2026-13-01",
    "2026-11": "2026-11",
    "-0": "0",
    "-0x1F": "-31",
    "_1": "_1",
    "0b12": "0b12",
    "0o8": "0o8",
    "08.5": "8.5",
    "1e": "1e",
    ".5_0": "0.5",
    "._5": "._5",
    ".5_": ".5_",
    "infinity": "infinity",
    "2026-11-28T10:20:30": "2026-11-28T10:20:30",
    "2026-11-28 10:20:30Z": "2026-11-28 10:20:30Z",
    "2026-11-28t10:20:30+02:00": "2026-11-28 10:20:30 +0200 +0200",
    "2026-02-30": "2026-02-30",
    "two\n    lines": "two lines",
    '"\\u00fc\\t\\"x"': 'ü\t"x',
    "'it''s'": "it's",
    "'1.33'": "1.33",
    '"on"': "on",
    "!!str 1.33": "1.33",
    '!!int "3"': "3",
    "!!float 3": "3",
    "!custom text": "text",
    "<<": "<<",
    "=": "=",
    "http://example.com:80/#x": "http://example.com:80/#x",
    "R&D #1": "R&D",
    "|\n    two\n    lines\n": "two\nlines\n",
    ">-\n    folded\n    text\n": "folded text",
    "[1, 2.50, NO, ~, 0042]": '[1, 2.5, "NO", null, 34]',
    "{version: 1.30, size: 10, on: off, 3: three, true: 1}": (
        '{"version": 1.3, "size": 10, "on": "off", "3": "three", "true": 1}'
    ),
    "{nested: {date: 2026-11-28, list: [{a: 1e3}]}}": (
        '{"nested": {"date": "2026-11-28 00:00:00 +0000 UTC", "list": [{"a": 1000}]}}'
    ),
    "{secure: 5}": '{"secure": 5}',
    "{secure: text, other: text}": '{"secure": "text", "other": "text"}',
    "&anchor {a: 1, b: 2}": '{"a": 1, "b": 2}',
    "{<<: *anchor, b: 3}": '{"a": 1, "b": 3}',
    "[*anchor]": '[{"a": 1, "b": 2}]',
}

# Files that both the engine and this project's reader reject.
REFUSED: dict[str, str] = {
    "a key twice": "config:\n  shop:a: 1\n  shop:b: 2\n  shop:a: 3\n",
    "a key twice in a section": "config:\n  shop:a: {b: 1, b: 2}\n",
    "a key that is not valid": "config:\n  a:b:c: 1\n",
    "a key that is a number": "config:\n  42: 1\n",
    "text for config": "config: text\n",
    "a list": "- config\n",
    "infinity": "config:\n  shop:a: .inf\n",
    "infinity in a section": "config:\n  shop:a: {b: .inf}\n",
    "a tag that its value contradicts": "config:\n  shop:a: !!int x\n",
    "a tab": "config:\n\tshop:a: 1\n",
    "open quotes": 'config:\n  shop:a: "b\n',
    "a colon in text": "config:\n  shop:a: b: c\n",
    "an unknown anchor": "config:\n  shop:a: *b\n",
    "an anchor in itself": "config:\n  shop:a: &a [*a]\n",
}


def write(spellings: dict[str, str]) -> str:
    """A stack file with a setting for each spelling: `s0`, `shop:s1`, and so on."""
    lines = [f"  {'shop:' if index % 2 else ''}s{index}: {spelling}" for index, spelling in enumerate(spellings)]
    return "config:\n" + "\n".join(lines) + "\n"
