"""The import graph of the package, read from the source: `python tests/import_graph.py` prints its counts.

A room is a folder of modules; a module that lies beside folders is a room of its own. An arrow leads from the
room that imports to the room that is imported, a circle is a set of rooms (or modules) that can all reach each other.
Imports inside functions count, those for type checkers alone do not: they never run.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Folders of the repository that are not part of the installed package.
OUTSIDE = {"tests", "benchmarks", "docs", "build", "dist"}
Graph = dict[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Dotted name without the package's own -> file; a package's `__init__` goes by the package's name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in OUTSIDE or any(part.startswith(".") for part in parts):
            continue
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def module_graph(root: Path = ROOT) -> Graph:
    """Module -> modules of the package that it imports, at any depth of its code."""
    known = modules(root)
    return {name: set(_imported(name, path, known)) - {name} for name, path in known.items()}


def private_imports(root: Path = ROOT) -> list[str]:
    """Every import of another module's private name, as "module: from ... import _name"."""
    found = []
    for name, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                found += [f"{name}: {a.name}" for a in node.names if a.name.startswith("_") and a.name[1:2] != "_"]
    return found


def rooms(names: Iterable[str]) -> dict[str, str]:
    """Module -> its room: the folder it lies in, or the module itself where that folder has folders of its own."""
    names = list(names)
    folders = {name.rpartition(".")[0] for name in names}
    halls = {folder.rpartition(".")[0] for folder in folders if folder} | {""}
    # A package's `__init__` goes by the package's name, and stands in the package.
    at = {name: name if name in folders else name.rpartition(".")[0] for name in names}
    return {name: name if folder in halls else folder for name, folder in at.items()}


def room_graph(graph: Graph) -> Graph:
    """The same graph with rooms for modules."""
    of = rooms(graph)
    found: Graph = {}
    for module, imported in graph.items():
        found.setdefault(of[module], set()).update(of[other] for other in imported)
    return {name: others - {name} for name, others in found.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Sets of two and more nodes that reach each other (Tarjan 1972), sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(found)


def _imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    package = name.split(".") if name else []
    if path.name != "__init__.py":
        package = package[:-1]
    for node in _runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        source = ".".join([*base, *(node.module.split(".") if node.module else ())])
        for alias in node.names:
            inner = f"{source}.{alias.name}".lstrip(".")
            yield inner if inner in known else source


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _runtime_nodes(child)


def main() -> None:
    graph = module_graph()
    for what, nodes in (("modules", graph), ("rooms", room_graph(graph))):
        arrows = sum(len(others) for others in nodes.values())
        rings = circles(nodes)
        print(f"{len(nodes)} {what}, {arrows} arrows, {len(rings)} circles")
        for ring in rings:
            print("  circle:", ", ".join(ring))
    print(f"{len(private_imports())} imports of private names")


if __name__ == "__main__":
    main()
