"""`use`: the rule files that those of a ruleset bring in."""

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from ruleengine.checking.scope import near, split_window
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problem, Problems
from ruleengine.source import Source, Span
from ruleengine.syntax import nodes
from ruleengine.syntax.parse import Parsed, parse

SHIPPED = "std/"
"""What the names of shipped rule files begin with."""
SUFFIX = ".rules"

Reader = Callable[[str], Source | Problem | None]
"""The text of a file by its path in the ruleset's folder, or why it cannot be read; None where there is none."""


def nothing_else(name: str) -> None:
    """A reader that knows no file."""


@cache
def shipped() -> Mapping[str, Source]:
    """The rule files that come with the product, by their names: `std/rfm.rules`."""
    folder = sorted(files("ruleengine.std").iterdir(), key=lambda file: file.name)
    texts = {f"{SHIPPED}{file.name}": file.read_text("utf-8") for file in folder if file.name.endswith(SUFFIX)}
    return {name: Source(name, text) for name, text in texts.items()}


def is_used(source: Source) -> bool:
    """Whether a text was brought in; a ruleset's own files lie in its folder itself."""
    return "/" in source.path


@dataclass(frozen=True, slots=True)
class Uses:
    """The files of a ruleset, and all that they bring in."""

    parsed: tuple[Parsed, ...]
    """Its own files, then the others in the order in which they are met."""
    brought: Mapping[str, Span]
    """By the name of a file that is brought in, the `use` that does so first."""

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(each.file.span.source for each in self.parsed)

    @property
    def files(self) -> list[nodes.File]:
        return [each.file for each in self.parsed]

    def told(self, problem: Problem) -> Problem:
        """A problem as it is told: that of a file that was brought in, with every `use` that led to it.

        A name that such a file says it needs is missing from the ruleset, and not wrong where it is read.
        """
        file = problem.span.source.path if problem.span else ""
        if problem.span and problem.code is codes.unknown_name and file in self.brought:
            name = str(problem.facts["name"])
            needed = self._need(file, name)
            if needed is not None:
                where = self.brought[file]
                name, example = needed
                missing = codes.use_needs(
                    where, Place(problem.span, "read-here"), file=_spoken(file), name=name, example=example
                )
                return led_to(missing, self.brought)
        return led_to(problem, self.brought)

    def _need(self, file: str, name: str) -> tuple[str, str] | None:
        """A name that a comment of a file declares, perhaps without the window it is read through, and that line."""
        names = [name, *([split[0]] if (split := split_window(name)) else [])]
        (comments,) = (each.comments for each in self.parsed if each.file.span.source.path == file)
        for comment in comments:
            line = comment.text.lstrip("#").strip()
            for statement in parse(Source(file, line)).file.statements:
                for needed in names:
                    if needed in _declared(statement):
                        return needed, line
        return None


def replaced(files: Iterable[nodes.File]) -> Mapping[str, nodes.LetStatement]:
    """The parameters that are brought in, where the ruleset's own of that name take their place."""
    lets = [it for file in files for it in file.statements if isinstance(it, nodes.LetStatement)]
    own = {let.name.text for let in lets if not is_used(let.span.source)}
    return {let.name.text: let for let in lets if is_used(let.span.source) and let.name.text in own}


def standing(files: Sequence[nodes.File]) -> list[nodes.File]:
    """What files say together, without the parameters that are `replaced`."""
    gone = set(map(id, replaced(files).values()))
    return [replace(file, statements=tuple(it for it in file.statements if id(it) not in gone)) for file in files]


def led_to(problem: Problem, brought: Mapping[str, Span]) -> Problem:
    """A problem, and every `use` that led to the file it is in."""
    places = list(problem.places)
    file = problem.span.source.path if problem.span else ""
    while file in brought:
        places.append(Place(brought[file], "used-here"))
        file = brought[file].source.path
    return replace(problem, places=tuple(places))


def follow(sources: Sequence[Source], read: Reader, problems: Problems) -> Uses:
    """Read the files of a ruleset, and those that they use, each once.

    What among `sources` lies in another folder may be used, and stands before a shipped file of its name.
    """
    at_hand = {source.path: source for source in sources if is_used(source)}
    parsed = [parse(source) for source in sources if not is_used(source)]
    known = {each.file.span.source.path for each in parsed}
    brought: dict[str, Span] = {}
    for each in parsed:  # grows as it goes
        for statement in each.file.statements:
            if not isinstance(statement, nodes.UseStatement):
                continue
            written, span = statement.path.value, statement.path.span
            name = _name(each.file.span.source.path, written)
            if name is None:
                problems.add(codes.use_outside(span, path=written))
                continue
            if name in known:
                continue
            found = at_hand.get(name) or shipped().get(name) or (None if name.startswith(SHIPPED) else read(name))
            if found is None:
                problems.add(_missing(span, written, name))
                continue
            known.add(name)
            if isinstance(found, Problem):
                problems.add(replace(found, places=(*found.places, Place(span, "used-here"))))
                continue
            brought[name] = span
            parsed.append(parse(found))
    return Uses(tuple(parsed), brought)


def _name(user: str, written: str) -> str | None:
    """What a file calls another one, as a path in the ruleset's folder; None where that leads out of it."""
    folder = "" if written.startswith(SHIPPED) else posixpath.dirname(user)
    name = posixpath.normpath(posixpath.join(folder, written))
    if name.startswith(("/", "../")) or name == "..":
        return None
    return name if name.endswith(SUFFIX) else name + SUFFIX


def _missing(span: Span, written: str, name: str) -> Problem:
    packs = [_spoken(pack) for pack in shipped()]
    if name.startswith(SHIPPED):
        return codes.use_missing(span, path=written, near=near(_spoken(name), packs), known=", ".join(packs))
    return codes.use_missing(span, path=written, near=near(_spoken(name), packs), file=name)


def _spoken(name: str) -> str:
    return name.removesuffix(SUFFIX)


def _declared(statement: nodes.Statement) -> Iterable[str]:
    match statement:
        case nodes.MetricStatement(name=name) | nodes.LetStatement(name=name):
            return (name.text,)
        case nodes.EntityStatement(columns=columns):
            return (column.name.text for column in columns)
        case _:
            return ()
