"""Calculations on values as terms: exact numbers are whole, in units of their scale."""

from collections.abc import Sequence
from functools import reduce

import z3

from ruleengine.checking.proofs.world import Term, Worth


def rescaled(worth: Worth, digits: int) -> Worth:
    """The same number with so many digits more after the point."""
    return worth if digits == 0 else Worth(worth.value * 10**digits, worth.missing)


def absolute(worth: Worth) -> Worth:
    return Worth(z3.If(worth.value >= 0, worth.value, -worth.value), worth.missing)


def rounded(worth: Worth, digits: int) -> Worth:
    """Without so many of its last digits: half away from zero."""
    if digits <= 0:
        return worth
    step = 10**digits
    half = step // 2
    away = z3.If(worth.value >= 0, (worth.value + half) / step, -((half - worth.value) / step))
    return Worth(away, worth.missing)


def floor(worth: Worth, digits: int) -> Worth:
    # The prover's division of whole numbers rounds down.
    return worth if digits == 0 else Worth(worth.value / 10**digits, worth.missing)


def ceiling(worth: Worth, digits: int) -> Worth:
    return worth if digits == 0 else Worth(-((-worth.value) / 10**digits), worth.missing)


def least(worths: Sequence[Worth]) -> Worth:
    """Missing where one is."""
    value = reduce(lambda a, b: z3.If(a <= b, a, b), [worth.value for worth in worths])
    return Worth(value, z3.Or([worth.missing for worth in worths]))


def greatest(worths: Sequence[Worth]) -> Worth:
    """Missing where one is."""
    value = reduce(lambda a, b: z3.If(a >= b, a, b), [worth.value for worth in worths])
    return Worth(value, z3.Or([worth.missing for worth in worths]))


# -- what is known of doubles ------------------------------------------------------------------------------


def same_side(number: Term, double: Term) -> list[Term]:
    """The nearest double of a number is on the same side of zero."""
    return [z3.Implies(number >= 0, double >= 0), z3.Implies(number <= 0, double <= 0)]


def of_quotient(a: Term, b: Term, quotient: Term) -> list[Term]:
    """Rounding to a double passes neither 0 nor 1."""
    return [
        z3.Implies(b > 0, z3.And(z3.Implies(a >= 0, quotient >= 0), z3.Implies(a <= 0, quotient <= 0))),
        z3.Implies(b > 0, z3.And(z3.Implies(a >= b, quotient >= 1), z3.Implies(a <= b, quotient <= 1))),
    ]
