"""Plans: what was shown is what is approved, recorded and run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan, check_approval, plan_from_json
from tabsync.kernel.step import Call, Context, Facts, Risk, Step, call, resolve

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FACTS: st.SearchStrategy[Facts] = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
STEPS = st.builds(
    Step,
    key=st.text(max_size=8),
    title=st.text(max_size=8),
    call=st.builds(Call, st.just("json:loads"), FACTS),
    preview=st.text(max_size=8),
    risk=st.sampled_from(Risk),
    undo=st.text(min_size=1, max_size=8),
    always=st.booleans(),
    reads=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    deadline=st.none() | st.floats(1, 100),
    repeatable=st.none() | st.booleans(),
)
PLANS = st.builds(
    Plan,
    procedure=st.text(max_size=8),
    title=st.text(max_size=8),
    steps=st.lists(STEPS, max_size=4, unique_by=lambda step: step.key).map(tuple),
    target=FACTS,
    confirm=st.text(max_size=8),
)


def plan_of(*risks: Risk) -> Plan:
    steps = tuple(
        Step(f"s{number}", "a step", Call("json:loads"), risk=risk, undo="take it back")
        for number, risk in enumerate(risks)
    )
    return Plan("shop close", "Close the shop", steps, confirm="shop")


@given(PLANS)
def test_a_recorded_plan_is_the_plan(plan: Plan) -> None:
    recorded = json.loads(json.dumps(plan.to_json()))
    assert plan_from_json(recorded) == plan
    assert plan_from_json(recorded).digest() == plan.digest()


@given(PLANS, PLANS)
def test_the_digest_tells_plans_apart(one: Plan, other: Plan) -> None:
    same = json.dumps(one.to_json(), sort_keys=True) == json.dumps(other.to_json(), sort_keys=True)
    assert (one.digest() == other.digest()) == same


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"title": "other"},
        {"call": Call("json:dumps")},
        {"call": Call("json:loads", {"pid": 2})},
        {"preview": "other"},
        {"risk": Risk.DESTRUCTIVE},
        {"undo": "other"},
        {"always": True},
        {"reads": ("20261128T120000Z-1a2b",)},
        {"deadline": 60.0},
        {"repeatable": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_covers_every_field_of_a_step(change: Facts) -> None:
    plan = plan_of(Risk.READ, Risk.REVERSIBLE)
    changed = replace(plan, steps=(plan.steps[0], replace(plan.steps[1], **change)))
    assert changed.digest() != plan.digest()


def test_the_digest_covers_the_order_of_the_steps_and_the_target() -> None:
    plan = plan_of(Risk.READ, Risk.REVERSIBLE)
    assert replace(plan, steps=plan.steps[::-1]).digest() != plan.digest()
    assert replace(plan, target={"database": "another"}).digest() != plan.digest()


def test_a_key_that_appears_twice_is_a_mistake_of_ours() -> None:
    step = Step("dump", "Dump", Call("json:loads"))
    with pytest.raises(ValueError, match="dump"):
        Plan("x", "x", (step, step))


@pytest.mark.parametrize("risk", [Risk.REVERSIBLE, Risk.DESTRUCTIVE])
def test_a_step_that_changes_something_states_its_undo(risk: Risk) -> None:
    with pytest.raises(ValueError, match="no undo"):
        Plan("x", "x", (Step("s", "s", Call("json:loads"), risk=risk),))


@pytest.mark.parametrize(
    ("risks", "worst"),
    [
        ((), Risk.READ),
        ((Risk.READ, Risk.READ), Risk.READ),
        ((Risk.REVERSIBLE, Risk.READ), Risk.REVERSIBLE),
        ((Risk.READ, Risk.DESTRUCTIVE, Risk.REVERSIBLE), Risk.DESTRUCTIVE),
    ],
)
def test_a_plan_is_as_risky_as_its_worst_step(risks: tuple[Risk, ...], worst: Risk) -> None:
    assert plan_of(*risks).risk is worst


@pytest.mark.parametrize(
    ("risk", "typed", "yes", "approval"),
    [
        (Risk.READ, None, False, "not needed"),
        (Risk.REVERSIBLE, None, False, "not needed"),
        (Risk.REVERSIBLE, "nonsense", False, "not needed"),
        (Risk.DESTRUCTIVE, None, True, "--yes"),
        (Risk.DESTRUCTIVE, "nonsense", True, "--yes"),
        (Risk.DESTRUCTIVE, "shop", False, "typed"),
    ],
)
def test_approved(risk: Risk, typed: str | None, yes: bool, approval: str) -> None:
    assert check_approval(plan_of(risk), typed=typed, yes=yes) == approval


@pytest.mark.parametrize("typed", [None, "", "SHOP", "shop ", "y", "yes"])
def test_not_approved(typed: str | None) -> None:
    with pytest.raises(Refused) as refused:
        check_approval(plan_of(Risk.READ, Risk.DESTRUCTIVE), typed=typed, yes=False)
    assert refused.value.hint


@pytest.mark.parametrize("function", ["json:nothing_of_this_name", "json:__doc__", "json"])
def test_a_step_of_another_version_names_what_is_missing(function: str) -> None:
    with pytest.raises(LookupError, match="this version does not have"):
        resolve(Step("s", "s", Call(function)))


def work(_context: Context[None], *, pid: int, force: bool = False) -> Facts:
    return {"pid": pid, "force": force}


def test_a_step_is_built_from_its_function() -> None:
    called = call(work, pid=7)
    assert called == Call(f"{__name__}:work", {"pid": 7})
    assert resolve(Step("s", "s", called)) is work


@pytest.mark.parametrize("wrong", [{}, {"pid": 7, "forced": True}])
def test_its_arguments_are_checked_when_the_plan_is_made(wrong: Facts) -> None:
    with pytest.raises(TypeError, match=r"pid|forced"):
        call(work, **wrong)


def test_a_function_that_no_other_process_could_find_is_no_step() -> None:
    def inner(_context: Context[None]) -> Facts:
        return {}

    with pytest.raises(TypeError, match="top level"):
        call(inner)


@pytest.mark.parametrize(
    ("step", "may"),
    [
        (Step("s", "s", Call("json:loads")), True),
        (Step("s", "s", Call("json:loads"), risk=Risk.REVERSIBLE, undo="u"), False),
        (Step("s", "s", Call("json:loads"), risk=Risk.REVERSIBLE, undo="u", always=True), True),
        (Step("s", "s", Call("json:loads"), risk=Risk.REVERSIBLE, undo="u", repeatable=True), True),
    ],
)
def test_what_may_run_again_after_a_crash(step: Step, may: bool) -> None:
    assert step.may_repeat is may


@pytest.mark.parametrize(
    "arguments", [{"backup": "b1"}, {"backups": ["b1"]}, {"digests": {"b1": "ab12"}}], ids=lambda one: next(iter(one))
)
def test_a_plan_of_an_earlier_version_names_its_backups_and_functions(arguments: Facts) -> None:
    before: Facts = {"key": "read", "title": "Read", "function": "tabsync.old:read", "arguments": arguments}
    before |= {"preview": "", "risk": "read", "undo": "", "always": False}
    recorded = {"procedure": "x", "title": "x", "target": {}, "confirm": "", "steps": [before]}
    plan = plan_from_json(recorded, {"tabsync.old:read": f"{__name__}:work"})
    assert plan.reads == {"b1"}
    assert resolve(plan.steps[0]) is work
