"""`let` statements, and values given to them for one run."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from ruleengine.checking.ruleset import Parameter, ParameterConstant
from ruleengine.checking.scope import Scope, word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problems, Word
from ruleengine.source import Source
from ruleengine.syntax import nodes
from ruleengine.syntax.parse import parse
from ruleengine.types import BOOLEAN, DATE, TEXT, Type, common, exact, literal_digits, negative


def check_parameters(scope: Scope, problems: Problems) -> dict[str, Parameter]:
    """The parameters whose statements are sound."""
    made = {name: _parameter(statement, problems) for name, statement in scope.parameters.items()}
    return {name: parameter for name, parameter in made.items() if parameter is not None}


def _parameter(statement: nodes.LetStatement, problems: Problems) -> Parameter | None:
    name = statement.name.text
    type: Type | None = None
    is_list = any(len(step.values) > 1 for step in statement.steps)
    steps: list[tuple[date | None, tuple[ParameterConstant, ...]]] = []
    sound = True
    before: date | None = None
    for step in statement.steps:
        values = []
        for node in step.values:
            literal = constant(node)
            if literal is None:
                problems.add(codes.wrong_place(node.span, what=Word("something-computed"), place="let"))
                sound = False
                continue
            value, own = literal
            wide = own if type is None else common(type, own)
            if wide is None:
                assert type is not None
                problems.add(codes.parameter_types(node.span, name=name, left=word(type.kind), right=word(own.kind)))
                sound = False
            else:
                type = wide
            values.append(value)
        start = step.start.value if step.start is not None else None
        if step.start is not None:
            if before is not None and step.start.value <= before:
                place = Place(statement.name.span, "declared-here")
                problems.add(
                    codes.parameter_steps(
                        step.start.span, place, name=name, date=str(step.start.value), before=str(before)
                    )
                )
                sound = False
            before = step.start.value
        steps.append((start, tuple(values)))
    if not sound or type is None:
        return None
    return Parameter(name=name, type=type, is_list=is_list, steps=tuple(steps), span=statement.name.span)


def constant(node: nodes.Expression) -> tuple[ParameterConstant, Type] | None:
    """The value and type of a literal; None for anything that is none."""
    match node:
        case nodes.Number(value=value):
            digits, scale = literal_digits(value)
            return (int(value) if scale == 0 else value), exact(digits, scale)
        case nodes.Minus(operand=nodes.Number() as number):
            made = constant(number)
            assert made is not None
            assert isinstance(made[0], int | Decimal)
            return negative(made[0]), made[1]
        case nodes.Text(value=text):
            return text, TEXT
        case nodes.Day(value=day):
            return day, DATE
        case nodes.Truth(value=truth):
            return truth, BOOLEAN
        case _:
            return None


def override(parameter: Parameter, text: str) -> Parameter | None:
    """The parameter as `--set name=text` makes it; None where the text is no such value.

    A text may stand without quotes; a list is written with commas.
    """
    parsed = parse(Source("--set", f"let {parameter.name} = {text}\n"))
    statement = parsed.file.statements[0] if len(parsed.file.statements) == 1 else None
    if any(problem.is_error for problem in parsed.problems) or not isinstance(statement, nodes.LetStatement):
        if parameter.type == TEXT and not parameter.is_list and '"' not in text:
            return replace(parameter, steps=((None, (text,)),))
        return None
    if len(statement.steps) != 1:
        return None
    literals = [constant(node) for node in statement.steps[0].values]
    values = tuple(literal[0] for literal in literals if literal is not None)
    if len(values) < len(literals) or (len(values) > 1 and not parameter.is_list):
        return None
    if any(literal is not None and not literal[1].compares_with(parameter.type) for literal in literals):
        return None
    type = parameter.type
    for literal in literals:
        assert literal is not None
        type = common(type, literal[1]) or type
    return replace(parameter, type=type, steps=((None, values),))
