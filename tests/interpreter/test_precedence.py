"""Parentheses, signs and their order mean what they mean in arithmetic; Python's own is the judge."""

from hypothesis import given
from hypothesis import strategies as st

from tests.interpreter.asking import worth

numbers = st.integers(0, 12).map(str)


def longer(shorter: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        # No parentheses of its own: what is written side by side has to find its order.
        st.tuples(shorter, st.sampled_from("+-*/"), shorter).map(" ".join),
        st.tuples(shorter, st.sampled_from("+-*/"), shorter).map(" ".join),
        shorter.map("({})".format),
        shorter.map("-({})".format),
        shorter.map("-{}".format),
    )


@given(st.recursive(numbers, longer, max_leaves=10))
def test_arithmetic_is_read_as_it_is_meant(text: str) -> None:
    try:
        meant = eval(text)
    except ZeroDivisionError:
        meant = None

    assert worth(text) == meant
