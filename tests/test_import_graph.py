"""Who may import whom: one table, and the code is held against it."""

import pytest
from import_graph import circles, module_graph, private_imports, room_graph

# Area -> what it may import besides itself and the basics. A module belongs to the longest area its name begins with;
# "spotting" is what a user's video runs through, and must do without everything that learns, judges or makes data.
BASICS = ("errors", "files", "processes", "version")
PRODUCT = ("extract", "models", "spotting")
ALLOWED = {
    "": ("spotting",),
    "extract": (),
    "models": ("extract",),
    "spotting": ("extract", "models"),
    "spotting.datasets": ("extract", "spotting"),
    "spotting.simulation": ("extract", "spotting", "spotting.datasets"),
    "spotting.learning": (*PRODUCT, "spotting.datasets", "spotting.simulation"),
    "spotting.judging": (*PRODUCT, "spotting.datasets", "spotting.learning"),
    "spotting.labelling": (*PRODUCT, "spotting.judging"),
    "spotting.reference": (*PRODUCT, "spotting.datasets", "spotting.learning", "spotting.judging"),
    "weights": (*PRODUCT, "spotting.learning", "spotting.simulation", "spotting.judging"),
    "samples": (),
    "commands": (
        *PRODUCT,
        "spotting.datasets",
        "spotting.simulation",
        "spotting.learning",
        "spotting.judging",
        "spotting.labelling",
        "spotting.reference",
    ),
    "cli": ("commands",),
}


def area_of(module: str) -> str:
    """The longest area that a module's dotted name begins with; its first part where the table has none."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in ALLOWED or name in BASICS), parts[0])


def trespasses(graph: dict[str, set[str]]) -> list[str]:
    """Every import that the table does not allow, as "module imports module"."""
    found = []
    for module, imported in sorted(graph.items()):
        area = area_of(module)
        allowed = {area, *BASICS, *(() if area in BASICS else ALLOWED.get(area, ()))}
        found += [
            f"{module or 'the package'} imports {other}" for other in sorted(imported) if area_of(other) not in allowed
        ]
    return found


@pytest.fixture(scope="module")
def graph():
    return module_graph()


def test_every_area_is_in_the_table(graph):
    assert {area_of(module) for module in graph} <= {*ALLOWED, *BASICS}


def test_nobody_imports_what_the_table_does_not_allow(graph):
    assert trespasses(graph) == []


def test_there_are_no_circles(graph):
    assert circles(graph) == []
    assert circles(room_graph(graph)) == []


def test_private_names_stay_at_home():
    assert private_imports() == []


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("spotting.spotter", "spotting.learning.training"),
        ("spotting.readers.two_branch", "spotting.reference.metrics"),
        ("spotting.output.formats", "spotting.judging.tables"),
        ("extract.cache", "spotting.intervals"),
        ("models.gim", "spotting.decoding"),
        ("spotting.learning.training", "commands.train"),
        ("spotting.judging.report", "spotting.reference.metrics"),
        ("files", "extract.cache"),
        ("", "cli"),
    ],
)
def test_a_wrong_import_would_be_found(graph, module, other):
    assert module in graph
    assert trespasses({module: {other}}) == [f"{module or 'the package'} imports {other}"]


def test_circles_are_found_wherever_they_begin():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [["b", "c"]]
