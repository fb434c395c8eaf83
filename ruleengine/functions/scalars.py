"""Functions of one row's values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    name: str
    least_arguments: int
    most_arguments: int | None
    meaning: str


SCALARS = {
    function.name: function
    for function in (
        ScalarFunction("abs", 1, 1, "The number without its sign."),
        ScalarFunction("floor", 1, 1, "The largest whole number that is not above it."),
        ScalarFunction("ceil", 1, 1, "The smallest whole number that is not below it."),
        ScalarFunction(
            "round", 1, 2, "Rounded to so many digits behind the point (0 unless given), half away from zero."
        ),
        ScalarFunction("least", 2, None, "The smallest; missing if one is."),
        ScalarFunction("greatest", 2, None, "The largest; missing if one is."),
    )
}
