"""Truths put together: Kleene's logic, of terms."""

import z3

from ruleengine.checking.proofs.world import Truth, Worth


def compared(operator: str, left: Worth, right: Worth) -> Truth:
    """Of two values of one type; unknown where one is missing."""
    a, b = left.value, right.value
    known = z3.Not(z3.Or(left.missing, right.missing))
    match operator:
        case "=":
            held = a == b
        case "!=":
            held = a != b
        case "<":
            held = a < b
        case "<=":
            held = a <= b
        case ">":
            held = a > b
        case _:
            held = a >= b
    return Truth(z3.And(known, held), z3.And(known, z3.Not(held)))


def conjunction(truths: list[Truth]) -> Truth:
    return Truth(z3.And([each.true for each in truths]), z3.Or([each.false for each in truths]))


def disjunction(truths: list[Truth]) -> Truth:
    return Truth(z3.Or([each.true for each in truths]), z3.And([each.false for each in truths]))


def same(one: Truth, other: Truth) -> Truth:
    equal = z3.Or(z3.And(one.true, other.true), z3.And(one.false, other.false))
    different = z3.Or(z3.And(one.true, other.false), z3.And(one.false, other.true))
    return Truth(equal, different)


def negation(truth: Truth) -> Truth:
    return Truth(truth.false, truth.true)
