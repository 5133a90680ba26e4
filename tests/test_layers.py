"""Imports point down, without circles, and what is private stays in its package.

The rules are functions over the folder of a package, so that small ones with planted mistakes show
that each of them is found. There are no exceptions.
"""

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

import tlcli

ROOT = Path(tlcli.__file__).parent

# Lowest first; a package imports from lower rows only. docs/architecture.md tells what they are.
LAYERS = (
    ("errors", "lazy"),
    ("system",),
    ("contracts",),
    ("config",),
    ("data",),
    ("models",),
    ("evaluation",),
    ("runs",),
    ("report",),
    ("audit",),
    ("export",),
    ("serve",),
    ("distill",),
    ("training",),
    ("commands", "options"),
    ("cli",),
)
LEVELS = {name: level for level, row in enumerate(LAYERS) for name in row}
LOOSE = {"__init__", "errors", "lazy"}
FRAMEWORKS = {"keras", "keras_hub", "tensorflow"}
# Where a module may import TensorFlow or Keras when it is imported itself.
AT_THE_TOP = (
    "models/**/*.py", "evaluation/**/*.py", "distill/**/*.py", "training/**/*.py",
    "commands/bench*.py", "commands/bench*/*.py", "commands/plain_keras.py", "options/*/_*.py",
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One name that a statement brings in.

    Attributes:
        module: The module that is meant, dotted, with what is private in it still attached.
        name: What is taken from it; None when the module itself is.
        line: Of the statement.
        at_the_top: Whether it runs when the file is imported.
        local: What it is called in the file.
    """

    module: str
    name: str | None
    line: int
    at_the_top: bool
    local: str


@dataclass(frozen=True)
class File:
    """A module of the package, read."""

    name: str
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        return package_of(self.name)


class Violation(NamedTuple):
    rule: str
    module: str
    text: str


def package_of(module: str) -> str:
    """What a module must keep to itself: its package, and of options its group."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] == ["options"] else 1])


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(("tlcli", *(p for p in parts if p != "__init__")))


def statements(node: ast.AST, at_the_top: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import below a node, and whether it runs when the file is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, at_the_top
            continue
        later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        never = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from statements(child, at_the_top and not later and not never)


def imports_of(tree: ast.Module, name: str, is_package: bool, modules: set[str]) -> list[Import]:
    """All imports of a file, those inside functions and for types included."""
    found = []
    for node, top in statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b` binds a; `import a.b as c` binds a.b.
                local = alias.asname or alias.name
                found.append(Import(alias.name, None, node.lineno, top, local))
            continue
        base = node.module or ""
        if node.level:
            above = name.split(".")[: None if is_package else -1]
            base = ".".join([*above[: len(above) - node.level + 1], *filter(None, [base])])
        for alias in node.names:
            whole, local = f"{base}.{alias.name}", alias.asname or alias.name
            if whole in modules:
                found.append(Import(whole, None, node.lineno, top, local))
            else:
                found.append(Import(base, alias.name, node.lineno, top, local))
    return found


def files_of(root: Path) -> list[File]:
    """All modules of the package in a folder."""
    paths = {module_name(root, p): p for p in sorted(root.rglob("*.py"))}
    modules = set(paths)
    found = []
    for name, path in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = imports_of(tree, name, path.name == "__init__.py", modules)
        found.append(File(name, path, tree, tuple(imports)))
    return found


def ours(file: File) -> list[Import]:
    """Imports of the package's own modules; `from tlcli import __version__` is of none."""
    return [one for one in file.imports if one.module.startswith("tlcli.")
            or (one.module == "tlcli" and one.name and not one.name.startswith("__"))]  # fmt: skip


def target_of(one: Import) -> str:
    """The module, or for what is taken from `tlcli` itself the part that is named."""
    return one.module if one.module != "tlcli" else f"tlcli.{one.name}"


def upward(files: list[File], root: Path) -> Iterator[Violation]:
    """A package imports from lower ones and from itself only."""
    for file in files:
        room = file.package.partition(".")[0]
        if room and room not in LEVELS:
            yield Violation("layers", file.name, f"{room} has no place among the layers")
            continue
        for one in ours(file):
            other = target_of(one).split(".")[1]
            if other != room and LEVELS.get(other, len(LAYERS)) >= LEVELS.get(room, -1):
                text = f"line {one.line}: {room or 'tlcli'} imports {target_of(one)}, not below it"
                yield Violation("layers", file.name, text)


def options(files: list[File], root: Path) -> Iterator[Violation]:
    """Options are loaded by name: only a group's own modules import from it."""
    for file in files:
        for one in ours(file):
            target = target_of(one)
            if target.split(".")[1] == "options" and package_of(target) != file.package:
                yield Violation("options", file.name, f"line {one.line}: imports {target}")


def private(files: list[File], root: Path) -> Iterator[Violation]:
    """No private module, and nothing private of a module, is used outside its package."""
    for file in files:
        for one in ours(file):
            names = [*one.module.split("."), one.name or ""]
            if package_of(target_of(one)) != file.package and any(map(is_private, names)):
                yield Violation("private", file.name, f"line {one.line}: {'.'.join(names)}")
        held = {one.local: one.module for one in ours(file) if one.name is None}
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                owner = held.get(ast.unparse(node.value))
                if owner and package_of(owner) != file.package:
                    text = f"line {node.lineno}: {owner}.{node.attr}"
                    yield Violation("private", file.name, text)


def frameworks(files: list[File], root: Path) -> Iterator[Violation]:
    """TensorFlow and Keras are imported with a module only where all of a package needs them."""
    allowed = {path for pattern in AT_THE_TOP for path in root.glob(pattern)}
    for file in files:
        for one in file.imports:
            found = one.module.split(".")[0]
            if found in FRAMEWORKS and one.at_the_top and file.path not in allowed:
                text = f"line {one.line}: imports {found}; take it from tlcli.lazy"
                yield Violation("frameworks", file.name, text)


def circles(files: list[File], root: Path) -> Iterator[Violation]:
    """No module reaches itself, by late imports and imports for types neither."""
    for package in sorted({file.package for file in files}):
        graph = {f.name: {one.module for one in ours(f) if package_of(one.module) == package}
                 for f in files if f.package == package}  # fmt: skip
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1][::-1]
            yield Violation("circles", circle[0], " imports ".join(circle))


def docstrings(files: list[File], root: Path) -> Iterator[Violation]:
    """Every module says what it is, and every folder of modules is a package that says it too."""
    for folder in sorted({file.path.parent for file in files}):
        if not (folder / "__init__.py").is_file():
            yield Violation("docstrings", module_name(root, folder), "has no __init__.py")
    for file in files:
        if not ast.get_docstring(file.tree):
            yield Violation("docstrings", file.name, "has no docstring")


def loose(files: list[File], root: Path) -> Iterator[Violation]:
    """Every module lies in a package but for a few."""
    for path in sorted(root.glob("*.py")):
        if path.stem not in LOOSE:
            yield Violation("loose", module_name(root, path), "lies in no package")


RULES = (upward, options, private, frameworks, circles, docstrings, loose)


def violations(root: Path) -> list[Violation]:
    """All that breaks a rule in the package of a folder."""
    files = files_of(root)
    return [found for rule in RULES for found in rule(files, root)]


# ---- the package as it stands ----------------------------------------------------------------


@pytest.fixture(scope="module")
def files():
    return files_of(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule, files):
    found = list(rule(files, ROOT))
    assert not found, "\n".join(f"{one.module}: {one.text}" for one in found)


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_documents_tell_these_layers(document):
    rows = [", ".join(row) for row in LAYERS]
    rows[-2] = f"{{{rows[-2]}}}"
    text = (ROOT.parent / document).read_text(encoding="utf-8")
    assert f"\n{' < '.join(rows)}\n" in text


PATHS = sorted(p for p in ROOT.rglob("*.py") if "configs" not in p.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_can_run_what_it_reads(path):
    text = path.read_text()
    for word in ("import pickle", "yaml.load(", "_target_", "allow_pickle=True", "safe_mode=False"):
        assert word not in text
    calls = {n.func.id for n in ast.walk(ast.parse(text))
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}  # fmt: skip
    assert not calls & {"eval", "exec", "compile", "__import__"}


# ---- mistakes that are planted in a small package ----------------------------------------------

WHOLE = {
    "__init__.py": "",
    "errors.py": "def require(): ...",
    "lazy.py": "",
    "system/__init__.py": "",
    "system/files.py": "from tlcli.errors import require",
    "contracts/__init__.py": "",
    "config/__init__.py": "",
    "config/registry.py": "from tlcli import __version__\nfrom tlcli import contracts",
    "data/__init__.py": "",
    "data/scan.py": "def _look(): ...\ndef scan(): _look()",
    "data/_bytes.py": "",
    "data/index.py": "from tlcli.data import _bytes, scan\nfrom tlcli.data.scan import _look",
    "models/__init__.py": "",
    "models/student.py": "import keras\nfrom tlcli.data import scan",
    "training/__init__.py": "",
    "training/step.py": "import tensorflow as tf\nfrom tlcli.models import student",
    "commands/__init__.py": "",
    "commands/train.py": "from tlcli.training import step\ndef run():\n    import tensorflow",
    "commands/bench.py": "import keras",
    "options/__init__.py": "",
    "options/head/__init__.py": "",
    "options/head/_layers.py": "from keras import layers",
    "options/head/linear.py": "def build():\n    from tlcli.options.head._layers import layers",
    "options/teacher/__init__.py": "",
    "cli/__init__.py": "",
    "cli/main.py": "def run():\n    from tlcli.commands import train",
}
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


def plant(root: Path, files: dict[str, str], docstring: str = '"""What it is."""\n') -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(docstring + text + "\n")


def test_a_whole_package_has_no_violations(tmp_path):
    plant(tmp_path, WHOLE)
    assert violations(tmp_path) == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("layers", "system/up.py", "from tlcli.config import registry"),
        ("layers", "system/up.py", "from tlcli import config"),
        ("layers", "data/up.py", "import tlcli.training.step"),
        ("layers", "data/up.py", "from ..training import step"),
        ("layers", "data/late.py", "def run():\n    from tlcli.models import student"),
        ("layers", "data/typed.py", FOR_TYPES + "from tlcli.models.student import Student"),
        ("layers", "commands/up.py", "from tlcli.cli import main"),
        ("layers", "options/head/beside.py", "from tlcli.commands import train"),
        ("layers", "lazy.py", "from tlcli.errors import require"),
        ("layers", "__init__.py", "from tlcli.errors import require"),
        ("layers", "attic/__init__.py", "from tlcli.errors import require"),
        ("options", "cli/named.py", "from tlcli.options.head import linear"),
        ("options", "cli/named.py", "def run():\n    import tlcli.options.head.linear"),
        ("options", "cli/named.py", "from tlcli import options"),
        ("options", "options/teacher/other.py", "from tlcli.options.head.linear import build"),
        ("private", "models/deep.py", "from tlcli.data import _bytes"),
        ("private", "models/deep.py", "from tlcli.data._bytes import pixels"),
        ("private", "models/deep.py", "from tlcli.data.scan import _look"),
        ("private", "models/deep.py", "from tlcli.data import scan\nscan._look()"),
        ("private", "models/deep.py", "import tlcli.data.scan\ntlcli.data.scan._look()"),
        ("frameworks", "data/heavy.py", "import tensorflow as tf"),
        ("frameworks", "commands/heavy.py", "from keras import ops"),
        ("frameworks", "commands/heavy.py", "try:\n    import keras.ops\nexcept ImportError: ..."),
        ("frameworks", "options/head/heavy.py", "class Head:\n    from keras import layers"),
        ("circles", "data/scan.py", "from tlcli.data import index"),
        ("circles", "data/scan.py", "def run():\n    from tlcli.data.index import rows"),
        ("circles", "data/scan.py", FOR_TYPES + "from tlcli.data.index import Row"),
        ("circles", "data/scan.py", "from tlcli.data import scan"),
        ("circles", "options/head/_layers.py", "from tlcli.options.head import linear"),
        ("loose", "helpers.py", "def helped(): ..."),
    ],
)  # fmt: skip
def test_a_planted_mistake_is_found(tmp_path, rule, path, text):
    plant(tmp_path, WHOLE | {path: text})
    found = {one.rule for one in violations(tmp_path)}
    # A loose module has no layer either.
    assert found == ({rule, "layers"} if rule == "loose" else {rule})


def test_a_group_keeps_what_is_private_from_other_groups(tmp_path):
    mistake = {"options/teacher/other.py": "from tlcli.options.head._layers import layers"}
    plant(tmp_path, WHOLE | mistake)
    assert {one.rule for one in violations(tmp_path)} == {"options", "private"}


def test_a_circle_of_three_is_told_whole(tmp_path):
    late = "def run():\n    from tlcli.data import index"
    plant(tmp_path, WHOLE | {"data/scan.py": "from tlcli.data import walk", "data/walk.py": late})
    (found,) = violations(tmp_path)
    assert set(found.text.split(" imports ")) == {
        f"tlcli.data.{n}" for n in ("scan", "walk", "index")
    }


def test_a_folder_that_is_no_package_is_found(tmp_path):
    plant(tmp_path, WHOLE | {"data/formats/jpeg.py": ""})
    assert [one[:2] for one in violations(tmp_path)] == [("docstrings", "tlcli.data.formats")]


def test_a_module_without_docstring_is_found(tmp_path):
    plant(tmp_path, WHOLE)
    plant(tmp_path, {"data/bare.py": "import os"}, docstring="")
    assert [one[:2] for one in violations(tmp_path)] == [("docstrings", "tlcli.data.bare")]
