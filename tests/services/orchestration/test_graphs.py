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
from models.graphs import EdgeKind, EdgeState, Graph, GraphEdge, GraphNode, StepKind, Undone
from models.runs import Failure, ItemCounts, Run, RunStatus, StepDetail, StepState, StepStatus
from services.orchestration.graph_text import cut_middle, fit, plain, width
from services.orchestration.graph_wording import (
    describe,
    doing,
    duration,
    entry,
    outcome,
    particulars,
    seconds_in_words,
    tooltip,
    words_of,
)
from services.orchestration.graphs import graph_of, mermaid, svg

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
STATEMENT = re.compile(
    r"""flowchart\ TD
    | \ {4}(
        accTitle:\ [^"%<>\[\]{}()`\n]*
      | s\d+(\[|\{|\[\[|\(\[|\{\{)"(?:[^"%<>\[\]{}()`&\n] | <br/>)*"(\]|\}|\]\]|\]\)|\}\})
      | s\d+\ (-->|-\.->|--x|-\.-x)(\|"[^"%<>\[\]{}()`&\n|]*"\|)?\ s\d+
      | linkStyle\ [0-9,]+\ [a-z0-9:#,-]+
      | subgraph\ (steps|failure)\["[a-z\ ]+"\]
      | end
      | direction\ TB
      | steps\ -\.->\ failure
      | style\ (steps|failure)\ [a-z0-9:#,\ -]+
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
            {"id": "choose", "description": " ", "switch": [{"value": 1}]},
        ],
    }
)
EDGES = (
    GraphEdge(source="report", target="choose", kind=EdgeKind.DATA),
    GraphEdge(source="load", target="choose", kind=EdgeKind.ORDER),
    GraphEdge(source="load", target="report", kind=EdgeKind.DATA),
)


def run_with(*steps: StepState, compensations: tuple[StepState, ...] = (), dry_run: bool = False) -> Run:
    return Run(
        run_id="r-1", workflow="review", version=4, status=RunStatus.FAILED, user_id="ada", trigger="api", input=None,
        output=None, error=None, labels={}, started_at=START, ended_at=None, links={}, steps=steps,
        compensations=compensations, dry_run=dry_run,
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


KINDS = Definition.model_validate(
    {
        "id": "kinds",
        "steps": [
            {"id": "act", "service": "flow", "action": "echo", "compensate": {"service": "flow", "action": "count"}},
            {"id": "choose", "switch": [{"when": "input.a", "value": 1}, {"value": 2}]},
            {"id": "child", "workflow": {"id": "measure"}},
            {"id": "pause", "wait": {"for": "90m"}},
            {"id": "until", "wait": {"until": "from:input.at"}},
            {"id": "go", "wait": {"signal": "go", "timeout": "1h"}},
            {"id": "ask", "approval": {"roles": ["author", "admin"]}},
            {"id": "each", "service": "flow", "action": "echo", "map": {"items": "from:input.list"}, "join": "any"},
            {"id": "poll", "service": "flow", "action": "count", "while": {"condition": "true", "max": 1000}},
            {"id": "maybe", "service": "flow", "action": "echo", "when": "input.go &&\n input.now"},
            {"id": "last", "service": "flow", "action": "echo", "join": "none_failed", "when": "input.go"},
        ],
        "on_failure": [
            {"id": "tell", "service": "flow", "action": "echo"},
            {"id": "clean", "service": "flow", "action": "echo", "depends_on": ["tell"]},
        ],
    }
)
KIND_EDGES = (
    *(GraphEdge(source="choose", target=step, kind=EdgeKind.DATA) for step in ("maybe", "act")),
    GraphEdge(source="maybe", target="last", kind=EdgeKind.ORDER),
    GraphEdge(source="act", target="each", kind=EdgeKind.DATA),
    GraphEdge(source="tell", target="clean", kind=EdgeKind.ORDER),
)
TIMES = {"started_at": START, "ended_at": START + timedelta(seconds=3)}


def kinds(*steps: StepState, undone: tuple[StepState, ...] = ()) -> Graph:
    return graph_of(KINDS, 1, KIND_EDGES, run_with(*steps, compensations=undone), {"child": 3})


def state(name: str, status: StepStatus, **fields: object) -> StepState:
    return StepState.model_validate({"id": name, "status": status, **fields})


def items(total: int, ended: int, failed: int, skipped: int) -> StepDetail:
    return StepDetail(items=ItemCounts(total=total, ended=ended, failed=failed, skipped=skipped))


def node(drawn: Graph, name: str) -> GraphNode:
    return next(one for one in drawn.nodes if one.id == name)


def test_every_kind_of_step_says_what_it_does() -> None:
    drawn = graph_of(KINDS, 1, KIND_EDGES, versions={"child": 3})
    assert {one.id: (one.kind, doing(one)) for one in drawn.nodes} == {
        "act": (StepKind.ACTION, "flow.echo"),
        "choose": (StepKind.SWITCH, "switch, 2 cases"),
        "child": (StepKind.WORKFLOW, "run of measure version 3"),
        "pause": (StepKind.WAIT, "wait for 90 min"),
        "until": (StepKind.WAIT, "wait for an instant"),
        "go": (StepKind.WAIT, "wait for the signal go"),
        "ask": (StepKind.APPROVAL, "answer by admin or author"),
        "each": (StepKind.ACTION, "flow.echo, for each item"),
        "poll": (StepKind.ACTION, "flow.count, at most 1,000 turns"),
        "maybe": (StepKind.ACTION, "flow.echo"),
        "last": (StepKind.ACTION, "flow.echo"),
        "tell": (StepKind.ACTION, "flow.echo"),
        "clean": (StepKind.ACTION, "flow.echo"),
    }
    assert [one.id for one in drawn.nodes if one.on_failure] == ["tell", "clean"]
    assert node(drawn, "act").compensate == "flow.count"
    assert "undone by flow.count" in tooltip(node(drawn, "act"), words_of(node(drawn, "act")))
    drawing = svg(drawn)
    assert set(texts(drawing, "doing")) == {doing(one) for one in drawn.nodes if one.kind is not StepKind.ACTION}
    signs = {found.get("id") for found in parsed(drawing).iter(f"{SVG}g") if found.get("class") == "sign"}
    assert signs == {f"dag-kind-{kind.value}" for kind in StepKind if kind is not StepKind.ACTION}


def test_steps_that_are_entered_otherwise_than_after_all_before_them_say_so() -> None:
    drawn = graph_of(KINDS, 1, KIND_EDGES)
    entries = {one.id: entry(one) for one in drawn.nodes if entry(one)}
    assert entries == {"each": "any", "maybe": "if", "last": "none failed, if"}
    assert sorted(texts(svg(drawn), "entry")) == sorted(entries.values())
    assert "if input.go && input.now" in tooltip(node(drawn, "maybe"), words_of(node(drawn, "maybe")))
    lines = mermaid(drawn).splitlines()
    assert '    s0 -->|"any"| s7' in lines
    assert '    s1 -->|"if"| s9' in lines
    assert '    s9 -.->|"none failed, if"| s10' in lines
    assert '    s9["maybe<br/>flow.echo<br/>if input.go #38;#38; input.now"]' in lines


def test_every_kind_has_a_shape_of_its_own_in_mermaid() -> None:
    lines = mermaid(graph_of(KINDS, 1, KIND_EDGES)).splitlines()
    shapes = {line.strip()[: line.strip().index('"')] for line in lines if "<br/>" in line}
    assert {re.sub(r"^s\d+", "", shape) for shape in shapes} >= {"[", "{", "[[", "([", "{{"}


def test_steps_of_on_failure_are_a_dashed_group_that_a_failure_leads_to() -> None:
    drawn = graph_of(KINDS, 1, KIND_EDGES)
    text = mermaid(drawn)
    steps, failure = text.partition('subgraph failure["on failure"]')[::2]
    assert 's11["tell' not in steps
    assert 's11["tell' in failure.partition("    end")[0]
    assert "steps -.-> failure" in text
    drawing = svg(drawn)
    assert texts(drawing, "caption") == ["on failure"]
    (frame,) = [found for found in parsed(drawing).iter(f"{SVG}rect") if found.get("class") == "frame"]
    assert ".frame { fill: none; stroke: var(--edge); stroke-width: 1.2; stroke-dasharray" in drawing
    bottom = float(frame.get("y") or 0) + float(frame.get("height") or 0)
    assert bottom <= float(parsed(drawing).get("height") or 0)
    assert "frame" not in {found.get("class") for found in parsed(svg(fan(3))).iter(f"{SVG}rect")}
    assert "Only on failure: tell, clean." in describe(drawn)


def test_a_definition_that_is_all_on_failure_but_one_step_is_drawn() -> None:
    tiny = graph([], "a", *(f"h{number}" for number in range(12)))
    nodes = tuple(one.model_copy(update={"on_failure": one.id != "a"}) for one in tiny.nodes)
    assert texts(svg(tiny.model_copy(update={"nodes": nodes})), "caption") == ["on failure", "12 steps side by side"]


def test_branches_taken_and_not_taken_and_never_reached_are_told_apart() -> None:
    drawn = kinds(
        state("choose", StepStatus.SUCCEEDED, **TIMES),
        state("maybe", StepStatus.SKIPPED, reason="condition"),
        state("last", StepStatus.SKIPPED, reason="upstream"),
        state("act", StepStatus.RUNNING, started_at=START),
    )
    assert {(edge.source, edge.target): edge.state for edge in drawn.edges} == {
        ("choose", "act"): EdgeState.TAKEN,
        ("choose", "maybe"): EdgeState.NOT_TAKEN,
        ("maybe", "last"): EdgeState.UNREACHED,
        ("act", "each"): None,
        ("tell", "clean"): None,
    }
    drawing = svg(drawn)
    classes = [found.get("class") for found in parsed(drawing).iter(f"{SVG}path")]
    for drawn_as in ("line data taken", "line data not-taken", "line order unreached", "tip not-taken"):
        assert drawn_as in classes
    cards = {found.get("class") for found in parsed(drawing).iter(f"{SVG}g")}
    assert "step ran skipped unreached" in cards
    assert "step ran skipped" in cards
    words = [found.text for found in parsed(drawing).iter(f"{SVG}text")]
    assert {"not taken", "not reached"} <= set(words)
    text = mermaid(drawn)
    assert 's1 --x|"if"| s9' in text
    assert "s1 --> s0" in text
    assert "linkStyle 2,3 stroke:#a9b3c1" in text


@pytest.mark.parametrize(
    ("source", "target", "edge_state"),
    [
        ({"status": StepStatus.FAILED}, {"status": StepStatus.RUNNING}, EdgeState.TAKEN),
        ({"status": StepStatus.SKIPPED}, {"status": StepStatus.RUNNING}, EdgeState.UNREACHED),
        ({"status": StepStatus.RUNNING}, {"status": StepStatus.RUNNING}, None),
        ({"status": StepStatus.SUCCEEDED}, {"status": StepStatus.PENDING}, None),
        ({"status": StepStatus.SUCCEEDED}, {"status": StepStatus.CANCELLED}, EdgeState.UNREACHED),
        ({"status": StepStatus.SUCCEEDED}, {"status": StepStatus.CANCELLED, "started_at": START}, EdgeState.TAKEN),
        ({"status": StepStatus.SUCCEEDED}, {"status": StepStatus.WAITING}, EdgeState.TAKEN),
    ],
)
def test_edge_is_decided_by_both_its_ends(
    source: dict[str, object], target: dict[str, object], edge_state: EdgeState | None
) -> None:
    drawn = kinds(
        StepState.model_validate({"id": "choose", **source}), StepState.model_validate({"id": "act", **target})
    )
    assert next(edge for edge in drawn.edges if edge.target == "act").state is edge_state


def test_twins_of_several_fates_stay_one_group() -> None:
    shape = fan(20)
    fates = [None, EdgeState.TAKEN]
    edges = tuple(edge.model_copy(update={"state": fates[index % 4 // 2]}) for index, edge in enumerate(shape.edges))
    assert texts(svg(shape.model_copy(update={"edges": edges})), "caption") == ["20 steps side by side"]
    taken = tuple(edge.model_copy(update={"state": EdgeState.TAKEN}) for edge in shape.edges)
    classes = [
        found.get("class") for found in parsed(svg(shape.model_copy(update={"edges": taken}))).iter(f"{SVG}path")
    ]
    assert classes.count("line data taken") == 1


@pytest.mark.parametrize(
    ("name", "now", "words", "more"),
    [
        (
            "each",
            {"status": StepStatus.RUNNING, "attempts": 1, "detail": items(20, 7, 1, 0)},
            "running: 7 of 20, 1 failed",
            "",
        ),
        (
            "each",
            {"status": StepStatus.SUCCEEDED, "detail": items(2_000, 2_000, 0, 3), **TIMES},
            "succeeded in 3.0 s: 2,000 items, 3 skipped",
            "",
        ),
        ("poll", {"status": StepStatus.RUNNING, "detail": StepDetail(turn=2)}, "running: turn 3", ""),
        (
            "poll",
            {"status": StepStatus.SUCCEEDED, "detail": StepDetail(turn=1), **TIMES},
            "succeeded in 3.0 s: 1 turn",
            "",
        ),
        (
            "ask",
            {"status": StepStatus.WAITING, "reason": "an answer by admin or author", "detail": StepDetail(until=START)},
            "waiting for an answer",
            "until 2026-11-03 09:00:00 UTC",
        ),
        (
            "go",
            {"status": StepStatus.WAITING, "reason": "the signal go", "detail": StepDetail(until=START)},
            "waiting: the signal go",
            "until 2026-11-03 09:00:00 UTC",
        ),
        ("go", {"status": StepStatus.SUCCEEDED, "detail": StepDetail(until=START), **TIMES}, "succeeded in 3.0 s", ""),
        ("pause", {"status": StepStatus.WAITING, "reason": "time"}, "waiting: time", ""),
        (
            "act",
            {
                "status": StepStatus.RETRYING,
                "reason": "next attempt",
                "attempts": 2,
                "next_attempt_at": START,
                "error": Failure(step="act", code="away", message="connection refused", attempt=2),
            },
            "retrying: connection refused, attempt 2",
            "again at 2026-11-03 09:00:00 UTC",
        ),
        (
            "child",
            {"status": StepStatus.RUNNING, "detail": StepDetail(run_id="0b1f5b0e-6a3e")},
            "running",
            "run 0b1f5b0e…",
        ),
    ],
)
def test_state_of_a_step_is_said_in_two_lines(name: str, now: dict[str, object], words: str, more: str) -> None:
    drawn = kinds(StepState.model_validate({"id": name, **now}))
    one = node(drawn, name)
    assert (outcome(one), particulars(one)) == (words, more)
    drawing = svg(drawn)
    assert any(words.startswith(text.removesuffix("…")) for text in texts(drawing, "outcome"))
    assert texts(drawing, "particulars") == ([more] if more else [])
    assert words.replace(":", "#58;") in mermaid(drawn)
    assert Graph.model_validate_json(drawn.model_dump_json()) == drawn


def test_steps_that_were_undone_say_so_and_maps_how_many_of_their_items() -> None:
    drawn = kinds(
        state("act", StepStatus.SUCCEEDED),
        state("each", StepStatus.FAILED),
        undone=(
            state("each[12]:undo", StepStatus.SUCCEEDED),
            state("each[3]:undo", StepStatus.FAILED),
            state("each[0]:undo", StepStatus.SUCCEEDED),
            state("act:undo", StepStatus.RETRYING),
        ),
    )
    assert node(drawn, "each").undone == Undone(succeeded=2, failed=1)
    assert node(drawn, "act").undone == Undone(under_way=1)
    assert node(drawn, "choose").undone is None
    assert texts(svg(drawn), "particulars") == ["being undone", "2 undone, 1 could not be undone"]
    assert "Undone: each. Could not be undone: each." in describe(drawn)
    done = kinds(state("act", StepStatus.SUCCEEDED), undone=(state("act:undo", StepStatus.SUCCEEDED),))
    assert particulars(node(done, "act")) == "undone"
    assert "step ran succeeded undone" in svg(done)


def test_dry_run_is_called_one() -> None:
    drawn = graph_of(KINDS, 1, KIND_EDGES, run_with(dry_run=True))
    assert texts(svg(drawn), "subtitle")[0].startswith("Dry run r-1: failed")


def test_map_is_drawn_as_a_stack() -> None:
    boxes = [found.get("class") for found in parsed(svg(graph_of(KINDS, 1, KIND_EDGES))).iter(f"{SVG}rect")]
    assert boxes.count("box behind") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (90, "90 s"), (300, "5 min"), (7_200, "2 h"), (86_400, "1 d"), (0.001, "0.001 s")],
)
def test_durations_of_a_definition_are_said_in_their_largest_unit(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words
