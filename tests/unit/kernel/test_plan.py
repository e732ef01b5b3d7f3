"""Plans: what was shown is what is approved, recorded and run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan, check_approval, plan_from_json
from tabsync.kernel.step import Facts, Risk, Step, resolve

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
    function=st.just("json:loads"),
    arguments=FACTS,
    preview=st.text(max_size=8),
    risk=st.sampled_from(Risk),
    undo=st.text(min_size=1, max_size=8),
    always=st.booleans(),
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
        Step(f"s{number}", "a step", "json:loads", risk=risk, undo="take it back") for number, risk in enumerate(risks)
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
        {"function": "json:dumps"},
        {"arguments": {"pid": 2}},
        {"preview": "other"},
        {"risk": Risk.DESTRUCTIVE},
        {"undo": "other"},
        {"always": True},
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
    step = Step("dump", "Dump", "json:loads")
    with pytest.raises(ValueError, match="dump"):
        Plan("x", "x", (step, step))


@pytest.mark.parametrize("risk", [Risk.REVERSIBLE, Risk.DESTRUCTIVE])
def test_a_step_that_changes_something_states_its_undo(risk: Risk) -> None:
    with pytest.raises(ValueError, match="no undo"):
        Plan("x", "x", (Step("s", "s", "json:loads", risk=risk),))


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
        resolve(Step("s", "s", function))
