"""Write docs/reference/: every option of every group and every key of every command.

    python scripts/make/reference.py

Made from the YAMLs (names, defaults, meanings) and the docstrings of the options, so that no page
can tell another thing than `tl` does; tests/test_docs.py fails after a change until this was run.
"""

import ast
import re
from pathlib import Path

import yaml

from tlcli.config.commands import COMMANDS
from tlcli.contracts import GROUPS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
KEY = re.compile(r"(?P<key>[a-z_]+):(?P<value>[^#]*?)?(?:\s+#\s*(?P<meaning>.*))?")


def pages() -> dict[str, str]:
    """The text of each page by the name of its file."""
    groups = {f"{group}.md": group_page(group) for group in GROUPS}
    return {"index.md": index_page(), "commands.md": commands_page(), **groups}


def index_page() -> str:
    """Which groups there are, with their options in a line."""
    lines = ["# Reference", "", _generated(), ""]
    lines += ["[Commands and their keys](commands.md), and the options of each group:", ""]
    lines += ["| group | what it decides | options |", "| --- | --- | --- |"]
    for group in GROUPS:
        names = ", ".join(f"`{name}`" for name in options(group))
        lines.append(f"| [{group}]({group}.md) | {_cell(purpose(group))} | {names} |")
    return "\n".join(lines) + "\n"


def group_page(group: str) -> str:
    """The options of a group: what each is, its keys, defaults and meanings."""
    lines = [f"# {group}", "", _generated(), "", purpose(group), ""]
    lines += ["| option | what it is |", "| --- | --- |"]
    files = options(group)
    for name, path in files.items():
        lines.append(f"| [`{group}={name}`](#{name}) | {_cell(_comment(path)[0])} |")
    for name, path in files.items():
        lines += ["", f"## {name}", "", *_comment(path)]
        told = _class_summary(group, yaml.safe_load(path.read_text(encoding="utf-8"))["name"])
        lines += ["", told] if told else []
        lines += ["", *_table(path.read_text(encoding="utf-8"), f"{group}.")]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The commands, each with its keys."""
    lines = ["# Commands", "", _generated(), ""]
    for word, command in COMMANDS.items():
        title = f"{word} {command.verb}".strip()
        lines += [f"## tl {title}", "", command.help, "", "```text", command.example, "```", ""]
        if command.trains and command.settings:
            lines += ["Every key of [`tl train`](#tl-train) counts here too.", ""]
        if command.config:
            text = (ROOT / "configs" / f"{command.config}.yaml").read_text(encoding="utf-8")
            lines += [*_table(text.partition("_self_\n")[2] or text, ""), ""]
    return "\n".join(lines).rstrip() + "\n"


def options(group: str) -> dict[str, Path]:
    """The YAML of each option of a group, `none` first."""
    found = {p.stem: p for p in sorted((ROOT / "configs" / group).glob("*.yaml"))}
    return dict(sorted(found.items(), key=lambda item: item[0] != "none"))


def purpose(group: str) -> str:
    """The first sentence of a group's contract."""
    source = (ROOT / "tlcli" / "contracts" / f"{group}.py").read_text(encoding="utf-8")
    return _sentence(ast.get_docstring(ast.parse(source)) or "")


def _generated() -> str:
    return "<!-- Written by scripts/make/reference.py: change the YAML or docstring instead. -->"


def _class_summary(group: str, name: str) -> str:
    """What the docstring of the option's module says."""
    path = ROOT / "tlcli" / "options" / group / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return "\n".join(line.rstrip() for line in text.splitlines())


def _comment(path: Path) -> list[str]:
    """The comment that a YAML begins with, a line each."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return lines


def _table(text: str, prefix: str) -> list[str]:
    """Keys of the first level with their defaults and meanings."""
    values = yaml.safe_load(text) or {}
    rows = []
    for line in text.splitlines():
        found = KEY.fullmatch(line)
        if found and found["key"] not in ("name", "defaults") and found["key"] in values:
            default = (found["value"] or "").strip() or yaml.safe_dump(
                values[found["key"]], default_flow_style=True
            ).strip().removesuffix("\n...")
            shown = "needed" if default == "???" else f"`{_cell(default)}`"
            rows.append(f"| `{prefix}{found['key']}` | {shown} | {_cell(found['meaning'] or '')} |")
        elif found and found["key"] == "name" and not prefix:
            rows.append(f"| `name` | `{values['name']}` | {_cell(found['meaning'] or '')} |")
    return ["| key | default | meaning |", "| --- | --- | --- |", *rows] if rows else ["No keys."]


def _sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _cell(text: str) -> str:
    """Text fit for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for stale in {p.name for p in FOLDER.glob("*.md")} - set(wanted):
        (FOLDER / stale).unlink()
    for file, content in wanted.items():
        (FOLDER / file).write_text(content, encoding="utf-8")
    print(f"{FOLDER}: {len(wanted)} pages")
