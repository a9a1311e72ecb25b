"""Prints the table of picture formats in docs/images.md, from what the code reads and writes.

python -m tools.format_table
"""

from jnst.io.decode import DEEP_FORMATS, FORMATS, MORE_FORMATS
from jnst.io.encode import KINDS

_HEAD = """| format | read | with `photo` | written as | opacity | 16 bits with `photo` |
| --- | --- | --- | --- | --- | --- |"""


def table() -> str:
    """Returns the table as Markdown, without a line break at its end."""
    lines = [_HEAD]
    for name in (*FORMATS, *MORE_FORMATS):
        suffixes = [suffix for suffix, kind in KINDS.items() if kind.name == name]
        kind = KINDS[suffixes[0]] if suffixes else None
        cells = (
            name,
            "yes" if name in FORMATS else "-",
            "all bits" if name in DEEP_FORMATS else "-",
            " ".join(f"`{suffix}`" for suffix in suffixes) or "-",
            "kept" if kind and kind.alpha else "-",
            "yes" if kind and kind.deep else "-",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
