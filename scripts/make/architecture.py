"""Write the tree of packages and modules, and the values, into docs/architecture.md.

    python scripts/make/architecture.py

What a package is for is the docstring of its `__init__.py`; their order is that of the layers, as
the document itself gives it; values are classes, found by name. tests/test_architecture.py fails
after a move until this was run.
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"
VALUES = ("Checked", "TrainJob", "Manifest", "Pieces", "Lesson", "PhasePlan", "Plan", "Outcome")
WIDTH, COLUMN = 100, 26


def layers(document: str) -> tuple[tuple[str, ...], ...]:
    """Names of the layers, lowest first, from the line of the document that has the arrows."""
    line = next(x for x in document.splitlines() if x.startswith("errors, lazy < "))
    return tuple(tuple(row.strip(" {}").split(", ")) for row in line.split("<"))


def tree(package: Path, order: list[str]) -> str:
    """Every package with its purpose and its modules."""
    return "\n".join(["```text", "tlcli/", *_lines(package, order, 1), "```"])


def _lines(folder: Path, order: list[str], depth: int) -> Iterator[str]:
    indent = "  " * depth
    modules = sorted(p.stem for p in folder.glob("*.py") if p.stem not in ("__init__", "__main__"))
    if depth == 1:
        modules.sort(key=lambda name: order.index(name) if name in order else len(order))
    if (folder / "__main__.py").is_file():
        modules.append("__main__")
    if modules:
        yield from textwrap.wrap(" ".join(modules), WIDTH - len(indent), initial_indent=indent,
                                 subsequent_indent=indent)  # fmt: skip
    below = sorted(p for p in folder.iterdir() if (p / "__init__.py").is_file())
    if depth == 1:
        below.sort(key=lambda p: order.index(p.name) if p.name in order else len(order))
    for one in below:
        purpose = ast.get_docstring(ast.parse((one / "__init__.py").read_text(encoding="utf-8")))
        name = f"{indent}{one.name}/"
        yield f"{name:<{COLUMN}}{(purpose or '').splitlines()[0]}"
        yield from _lines(one, order, depth + 1)


def values(package: Path, names: tuple[str, ...] = VALUES) -> str:
    """Each value with its module, its purpose and its fields."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name in names:
                found[node.name] = (path, node)
    lines = []
    for name in names:
        path, node = found[name]
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        own = [x.target for x in node.body if isinstance(x, ast.AnnAssign)]
        fields = ", ".join(f"`{x.id}`" for x in own if isinstance(x, ast.Name))
        purpose = (ast.get_docstring(node) or "").splitlines()[0]
        lines.append(f"- **{name}** (`{module}`). {purpose} {fields}.")
    return "\n".join(textwrap.fill(x, WIDTH, subsequent_indent="  ") for x in lines)


def written(document: str, package: Path) -> str:
    """The document with its tree and values as the folders are now."""
    order = [name for row in layers(document) for name in row]
    for block, text in (("tree", tree(package, order)), ("values", values(package))):
        begin, end = f"<!-- {block}: scripts/make/architecture.py -->", f"<!-- end of {block} -->"
        before, _, rest = document.partition(begin)
        document = f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
    return document


if __name__ == "__main__":
    old = DOCUMENT.read_text(encoding="utf-8")
    new = written(old, ROOT / "tlcli")
    DOCUMENT.write_text(new, encoding="utf-8")
    print(f"{DOCUMENT}: {'as it was' if new == old else 'written'}")
