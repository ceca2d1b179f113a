import html
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from graph_strategies import fan, graph, graphs
from hypothesis import given

from models.definition import Definition
from models.graphs import EdgeKind, Graph, GraphEdge, GraphNode
from models.runs import Failure, Run, RunStatus, StepState, StepStatus
from services.orchestration.graph_text import cut_middle, fit, plain, width
from services.orchestration.graph_wording import describe, duration, outcome
from services.orchestration.graphs import graph_of, mermaid, svg

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
STATEMENT = re.compile(
    r"""flowchart\ TD
    | \ {4}(
        accTitle:\ [^"%<>\[\]{}()`\n]*
      | s\d+\["(?:[^"%<>\[\]{}()`&\n] | <br/>)*"\]
      | s\d+\ (-->|-\.->)\ s\d+
      | classDef\ [a-z]+\ [a-z0-9:#, -]+
      | class\ [s0-9,]+\ [a-z]+
    )""",
    re.VERBOSE,
)


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)


def texts(drawing: str, css_class: str) -> list[str]:
    return [found.text or "" for found in parsed(drawing).iter(f"{SVG}text") if found.get("class") == css_class]


def with_statuses(*statuses: StepStatus) -> Graph:
    shape = graph([], *(f"step-{status}" for status in statuses))
    nodes = [node.model_copy(update={"status": status}) for node, status in zip(shape.nodes, statuses, strict=True)]
    return shape.model_copy(update={"nodes": tuple(nodes), "run_id": "r-1", "status": RunStatus.RUNNING})


@given(graphs())
def test_any_text_gives_well_formed_svg_that_runs_and_loads_nothing(any_graph: Graph) -> None:
    root = parsed(svg(any_graph))
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in {
            "svg", "title", "desc", "style", "defs", "g", "path", "circle", "rect", "use", "text",
        }  # fmt: skip
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name or value.startswith("#dag-")
    assert len([found for found in root.iter(f"{SVG}g") if "step" in (found.get("class") or "").split()]) == len(
        any_graph.nodes
    )


@given(graphs())
def test_any_text_stays_a_label_in_mermaid(any_graph: Graph) -> None:
    for line in mermaid(any_graph).splitlines():
        assert STATEMENT.fullmatch(line), line


def test_mermaid_shows_the_text_as_it_was_written() -> None:
    hostile = '"]; click s0 "javascript:alert(1)" %%{init}%% <img src=x> `md` #quot; &lt; style x:#f00; :::failed'
    node = GraphNode(id="a", label=hostile)
    text = mermaid(Graph(workflow="w", version=1, nodes=(node,), edges=()))
    label = re.search(r's0\["(.*)"\]', text)
    assert label is not None
    assert html.unescape(re.sub(r"#(\d+);", r"&#\1;", label[1])) == hostile


def test_mermaid_has_a_class_for_every_status_and_both_arrows() -> None:
    text = mermaid(with_statuses(*StepStatus))
    for index, status in enumerate(StepStatus):
        assert f"class s{index} {status.value}" in text
        assert f"classDef {status.value} " in text
    shape = graph([("a", "b")])
    order = shape.model_copy(update={"edges": (shape.edges[0].model_copy(update={"kind": EdgeKind.ORDER}),)})
    assert "s0 --> s1" in mermaid(shape)
    assert "s0 -.-> s1" in mermaid(order)


def test_every_status_has_a_symbol_a_word_and_a_colour() -> None:
    drawing = svg(with_statuses(*StepStatus))
    root = parsed(drawing)
    symbols = {found.get("id"): len(found) for found in root.iter(f"{SVG}g") if found.get("class") == "icon"}
    style = root.findtext(f"{SVG}style") or ""
    for status in StepStatus:
        assert symbols[f"dag-{status.value}"] > 0
        assert status.value in texts(drawing, "outcome")
        assert len(re.findall(rf"\.{status.value}[ ,]", style)) >= 2, "light and dark"


def test_drawing_says_in_words_what_it_shows() -> None:
    shape = with_statuses(StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED)
    root = parsed(svg(shape))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "review, version 2"
    description = root.findtext(f"{SVG}desc") or ""
    assert description == describe(shape)
    assert "1 succeeded, 1 failed, 1 skipped. Failed: step-failed." in description


def test_long_text_is_cut_and_stands_in_full_in_the_tooltip() -> None:
    label = "Load the repository <of the customer> & everything that hangs on it, however long that takes"
    node = GraphNode(id="load", label=label, action="context.load-repo")
    drawing = svg(Graph(workflow="w", version=1, nodes=(node,), edges=()))
    shown = texts(drawing, "label")[0]
    assert shown.endswith("…")
    assert label.startswith(shown[:-1])
    assert label in "".join(found.text or "" for found in parsed(drawing).iter(f"{SVG}title"))


def test_ids_that_begin_alike_stay_distinct_when_cut() -> None:
    ids = [f"customer_repository_analysis_of_everything_part_{part}" for part in range(3)]
    assert len(set(texts(svg(graph([], *ids)), "label"))) == 3


def test_lines_of_both_kinds_are_told_apart_and_explained() -> None:
    shape = graph([("a", "b"), ("b", "c")])
    mixed = shape.model_copy(
        update={"edges": (shape.edges[0], shape.edges[1].model_copy(update={"kind": EdgeKind.ORDER}))}
    )
    classes = [found.get("class") for found in parsed(svg(mixed)).iter(f"{SVG}path")]
    assert classes.count("line data") == classes.count("line order") == 2, "the drawing and its legend"


def test_twins_are_drawn_in_one_frame_with_every_step_in_it() -> None:
    drawing = svg(fan(100))
    assert texts(drawing, "caption") == ["100 steps side by side"]
    assert len(set(texts(drawing, "label"))) == 102


def test_chains_of_twins_keep_the_arrows_between_their_steps() -> None:
    drawing = svg(graph((f"{stage}-{part}", f"{after}-{part}") for part in range(9) for stage, after in ("ab", "bc")))
    assert texts(drawing, "caption") == ["9 chains of 3 steps side by side"]
    tips = [found.get("d") or "" for found in parsed(drawing).iter(f"{SVG}path") if found.get("class") == "tip"]
    assert "".join(tips).count("M") == 18


def test_same_graph_is_the_same_drawing_in_every_process() -> None:
    program = (
        "from hashlib import sha256\nfrom graph_strategies import fan, graph\n"
        "from services.orchestration.graphs import mermaid, svg\n"
        "web = graph((f'a{i}', f'b{i * j % 17}') for i in range(12) for j in (1, 3, 5))\n"
        "print(sha256(''.join(draw(g) for g in (web, fan(20)) for draw in (svg, mermaid)).encode()).hexdigest())"
    )
    here = Path(__file__)
    path = os.pathsep.join([str(here.parent), str(here.parents[3])])
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "40 ms"), (0.9999, "1.0 s"), (3.14, "3.1 s"), (9.96, "10 s"), (12.4, "12 s"), (59.7, "1 min 0 s"),
        (185, "3 min 5 s"), (7_440, "2 h 4 min"), (-1, "0 ms"),
    ],
)  # fmt: skip
def test_durations_are_written_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(START, START + timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"status": None}, ""),
        ({"status": StepStatus.PENDING}, "pending"),
        ({"status": StepStatus.RUNNING, "attempts": 2}, "running, attempt 2"),
        ({"status": StepStatus.SKIPPED, "reason": "upstream"}, "skipped: upstream"),
        ({"status": StepStatus.FAILED, "error": "no such\nhost", "attempts": 3}, "failed: no such host"),
        ({"status": StepStatus.SUCCEEDED, "started_at": START, "ended_at": START}, "succeeded in 0 ms"),
    ],
)
def test_outcome_is_said_in_one_line(state: dict[str, object], words: str) -> None:
    assert outcome(GraphNode.model_validate({"id": "a", "label": "a", **state})) == words


def test_text_that_could_reorder_or_break_a_line_is_made_harmless() -> None:
    assert plain(" a\n\tb\u202e\x00\ud800\uffffc ") == "a b\ufffd\ufffd\ufffd\ufffdc"
    assert plain("naïve 日本語 👩\u200d💻") == "naïve 日本語 👩\u200d💻"


def test_cut_text_fits() -> None:
    for text in ("a" * 50, "W" * 50, "日本語" * 20, "one two three four five six"):
        assert width(fit(text, 100, 13), 13) <= 100
        assert width(cut_middle(text, 100, 13), 13) <= 100
    assert fit("short", 100, 13) == cut_middle("short", 100, 13) == "short"


DEFINITION = Definition.model_validate(
    {
        "id": "review",
        "steps": [
            {"id": "load", "description": "Load it", "service": "context", "action": "load-repo"},
            {"id": "report", "service": "analytics", "action": "generate-report"},
            {"id": "choose", "description": " "},
        ],
    }
)
EDGES = (
    GraphEdge(source="report", target="choose", kind=EdgeKind.DATA),
    GraphEdge(source="load", target="choose", kind=EdgeKind.ORDER),
    GraphEdge(source="load", target="report", kind=EdgeKind.DATA),
)


def run_with(*steps: StepState) -> Run:
    return Run(
        run_id="r-1", workflow="review", version=4, status=RunStatus.FAILED, user_id="ada", trigger="api", input=None,
        output=None, error=None, labels={}, started_at=START, ended_at=None, links={}, steps=steps,
    )  # fmt: skip


def test_graph_of_a_definition_has_its_steps_as_written_and_edges_in_order() -> None:
    drawn = graph_of(DEFINITION, 4, EDGES)
    assert [(node.id, node.label, node.action, node.status) for node in drawn.nodes] == [
        ("load", "Load it", "context.load-repo", None),
        ("report", "report", "analytics.generate-report", None),
        ("choose", "choose", None, None),
    ]
    assert [(edge.source, edge.target) for edge in drawn.edges] == [
        ("load", "report"),
        ("load", "choose"),
        ("report", "choose"),
    ]
    assert (drawn.workflow, drawn.version, drawn.run_id, drawn.status) == ("review", 4, None, None)


def test_graph_of_a_run_has_its_states_and_pending_for_the_rest() -> None:
    failure = Failure(step="report", code="x", message="no\n" + "y" * 5_000, attempt=2)
    failed = StepState(
        id="report", status=StepStatus.FAILED, attempts=2, started_at=START, ended_at=START, error=failure
    )
    drawn = graph_of(
        DEFINITION, 4, EDGES, run_with(StepState(id="load", status=StepStatus.SUCCEEDED, attempts=1), failed)
    )
    assert [node.status for node in drawn.nodes] == [StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.PENDING]
    assert (drawn.run_id, drawn.status) == ("r-1", RunStatus.FAILED)
    report = drawn.nodes[1]
    assert (report.attempts, report.started_at, report.ended_at) == (2, START, START)
    assert report.error is not None
    assert report.error.startswith("no yyy")
    assert len(report.error) == 300
    assert Graph.model_validate_json(drawn.model_dump_json()) == drawn
