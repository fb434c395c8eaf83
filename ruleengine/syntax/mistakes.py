"""What a token that cannot stand where it stands probably means, in the words of people who write rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place, Problem, Word
from ruleengine.source import Span
from ruleengine.syntax import chinese, language
from ruleengine.syntax.expectations import expects_operand, in_words
from ruleengine.syntax.nesting import STATEMENTS, begins_as
from ruleengine.syntax.phrases import clip, nearest
from ruleengine.syntax.token import BROKEN, Token
from ruleengine.syntax.wording import quoted

RESERVED = frozenset({"not", "has", "had", "top", "bottom", "days", "if", "true", "false", "tier", "class"})
"""Words that begin an operand, and so are no names there."""

CONNECTING = frozenset(
    {
        "and",
        "or",
        "then",
        "else",
        "when",
        "unless",
        "where",
        "is",
        "in",
        "between",
        "during",
        "default",
        "otherwise",
        "by",
        "within",
        "among",
        "until",
    }
)
"""Words that stand behind an operand; in front of one they show that another is missing."""

_CLAUSES = frozenset(
    {"when", "unless", "until", "keep", "limit", "because", "owner", "review", "otherwise", "where", "since"}
    | {"hold", "grace", "fall", "never", "add", "expect"}
)
_BEFORE = {
    "because": ("QUOTED",),
    "owner": ("QUOTED",),
    "formerly": ("QUOTED",),
    "keep": ("for", "while"),
    "limit": ("NUMBER",),
    "hold": ("for",),
    "grace": ("NUMBER",),
    "fall": ("one", "to"),
    "never": ("fall",),
    "review": ("by", "daily", "monthly", "quarterly", "yearly", "on"),
}
"""Words that begin a clause if this stands behind them, and else are names."""


def is_reserved(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word is no name where an operand is expected."""
    word = tokens[at].word
    follower = tokens[at + 1] if at + 1 < len(tokens) else None
    if follower is not None and (follower.type in _BEFORE.get(word, ()) or follower.word in _BEFORE.get(word, ())):
        return True
    return word in RESERVED or word in CONNECTING


def misspelled_beginning(tokens: list[Token], at: int) -> str | None:
    """The statement that was meant by a misspelled word whose followers are those of a statement."""
    word = tokens[at].text
    if not _is_word(tokens[at]) or word in language.terminal_of_word():
        return None
    lower = word.lower()
    near = lower if lower in STATEMENTS else nearest(lower, sorted(STATEMENTS))
    return near if near and begins_as(tokens, at, near) else None


def explain_beginning(tokens: Sequence[Token], at: int) -> Problem:
    """Why no statement begins here."""
    token = tokens[at]
    if token.type == BROKEN and token.why:
        return token.why
    if token.type == "NAME":
        lower = token.text.lower()
        near = lower if lower in STATEMENTS else nearest(lower, sorted(STATEMENTS - {"at"}))
        fix = Fix(token.span, near) if near else None
        return codes.unknown_statement(token.span, fix=fix, written=clip(token.text, 40), near=near)
    if token.type == "CLOSE":
        return codes.stray_parenthesis(token.span)
    return codes.no_statement(token.span, written=clip(token.text, 40))


def explain_end(tokens: Sequence[Token], start: int, at: int, expected: set[str]) -> Problem:
    """Why a statement cannot end before the token `at`."""
    last = tokens[at - 1]
    opened = _open_parenthesis(tokens[start:at])
    operand = expects_operand(expected)
    if opened is not None and not operand:
        return codes.unclosed_parenthesis(opened.span, Place(_behind(last), "closed-here"))
    if operand:
        return codes.missing_operand(_behind(last), after=_shown(last))
    if "AND" in expected and "OR" not in expected:
        expected = {"AND"}
    expected = expected & {"ELSE", "THEN"} or expected
    return codes.unfinished(
        _behind(last), after=_shown(last), **in_words(expected, tokens[start:at], opened is not None)
    )


def explain(tokens: Sequence[Token], start: int, at: int, expected: set[str]) -> Problem:
    """Why the token `at` cannot stand in the statement that begins at `start`, where `expected` could."""
    return _Mistake(tokens, start, at, expected).explain()


@dataclass(frozen=True, slots=True)
class _Mistake:
    tokens: Sequence[Token]
    start: int
    at: int
    expected: set[str]

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def before(self) -> Token:
        return self.tokens[self.at - 1]

    @property
    def follower(self) -> Token | None:
        return self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None

    def explain(self) -> Problem:
        token = self.token
        if token.type == BROKEN and token.why:
            return token.why
        return (
            self._touching()
            or self._parenthesis()
            or self._parameter()
            or self._spoken()
            or self._quotes()
            or self._word()
            or self._operand()
            or self._other()
        )

    def _touching(self) -> Problem | None:
        """A name that begins with a Chinese word that may touch what follows."""
        token, follower = self.token, self.follower
        if follower is None or "NAME" not in self.expected or not chinese.touches(self.tokens, self.at):
            return None
        span = token.span.to(follower.span)
        return codes.name_begins_with_word(span, word=token.text, name=clip(span.text, 40))

    def _parenthesis(self) -> Problem | None:
        opened = _open_parenthesis(self.tokens[self.start : self.at])
        if self.token.text == ")" and self.token.type == "CLOSE" and opened is None:
            return codes.stray_parenthesis(self.token.span, fix=Fix(self.token.span, ""))
        if opened is not None and "CLOSE" in self.expected and self.token.word in _CLAUSES:
            return codes.unclosed_parenthesis(opened.span, Place(_behind(self.before), "closed-here"))
        return None

    def _parameter(self) -> Problem | None:
        """A calculation as a parameter."""
        if self.tokens[self.start].type != "LET":
            return None
        literal = {"NUMBER", "QUOTED", "TRUE"} <= self.expected
        behind = "THEN" in self.expected and self.token.type in ("PLUS", "MINUS", "TIMES", "OVER", "OPEN")
        if (literal and (_is_word(self.token) or self.token.type == "OPEN")) or behind:
            return codes.not_a_literal(self.token.span, written=_shown(self.token))
        return None

    def _spoken(self) -> Problem | None:
        """`is in`, `is greater than`: words that are written in another way."""
        token = self.token
        before = [earlier.type for earlier in self.tokens[max(self.start, self.at - 2) : self.at]]
        ises = 2 if before == ["IS", "NOT"] else 1 if before[-1] == "IS" else 0
        span = self.tokens[self.at - ises].span.to(token.span)
        if ises and token.word in ("in", "between", "starts", "ends", "contains"):
            plain = f"not {token.text}" if ises == 2 else token.text
            return codes.needless_is(span, fix=Fix(span, plain), plain=plain, written=clip(span.text))
        at = self.at - 1 if token.text in _SPOKEN_ENDS and self.before.text in _SPOKEN else self.at
        first = self.tokens[at]
        if first.text not in _SPOKEN or at == self.start or (at == self.at and "PLUS" not in self.expected):
            return None
        end = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        sign = _SPOKEN[first.text]
        if end is not None and end.text in _SPOKEN_ENDS:
            sign = {"least": ">=", "most": "<="}.get(end.text, sign)
        elif first.text == "at":
            return None
        else:
            end = None
        begin = self.tokens[at - 1] if self.tokens[at - 1].type == "IS" else first
        span = begin.span.to((end or first).span)
        return codes.spoken_operator(span, fix=Fix(span, sign), sign=sign, written=clip(span.text))

    def _quotes(self) -> Problem | None:
        """A name where a quoted text belongs, or the other way round."""
        token = self.token
        if "QUOTED" in self.expected and not expects_operand(self.expected) and _is_word(token):
            if self._meant() and self.before.type not in ("TAG", "BECAUSE", "OWNER", "OTHERWISE", "ZONE"):
                return None
            if "EQUAL" in self.expected or self.before.type in ("NAME", "NUMBER"):
                return None
            if self.before.type == "COMMA" and token.text in language.terminal_of_word():
                return None
            words = [token]
            for later in self.tokens[self.at + 1 :]:
                path = self.before.type == "USE"
                if later.begins_line or (not path and not _is_name(later)):
                    break
                words.append(later)
            span = words[0].span.to(words[-1].span)
            return codes.missing_quotes(
                span, fix=Fix(span, quoted(span.text)), what=_role(self.before), written=clip(span.text, 60)
            )
        if self.expected == {"NAME"} and token.type == "QUOTED":
            inner = token.text[1:-1]
            named = re.fullmatch(language.patterns()["NAME"], inner)
            suggestion = re.sub(r"\W+", "_", inner).strip("_")
            usable = inner if named else suggestion if suggestion[:1].isalpha() else None
            return codes.needless_quotes(
                token.span,
                fix=Fix(token.span, usable) if usable else None,
                what=Word("name-behind"),
                behind=_shown(self.before),
                usable=usable,
            )
        return None

    def _word(self) -> Problem | None:
        """A keyword written in another way."""
        token = self.token
        if self.before.type == "IF" and self.expected == {"UNKNOWN"}:
            written = [earlier.type for earlier in self.tokens[self.start : self.at]]
            if "WHEN" not in written:
                fix = Fix(self.before.span, "when")
                return codes.unknown_word(self.before.span, fix=fix, written=self.before.text, near="when")
        near = self._meant()
        if near is None:
            return None
        if near == token.text.lower():
            return codes.keyword_case(token.span, fix=Fix(token.span, near), written=token.text, near=near)
        return codes.unknown_word(token.span, fix=Fix(token.span, near), written=clip(token.text, 40), near=near)

    def _meant(self) -> str | None:
        """The keyword that could stand here and that the word comes near to."""
        if not _is_word(self.token):
            return None
        possible = [language.keywords()[name][0] for name in sorted(self.expected) if name in language.keywords()]
        lower = self.token.text.lower()
        if lower in possible:
            return lower
        if _SYNONYMS.get(lower) in possible:
            return _SYNONYMS[lower]
        return None if lower in language.terminal_of_word() else nearest(lower, possible)

    def _operand(self) -> Problem | None:
        token, before = self.token, self.before
        if token.word == "where" and before.type == "CLOSE":
            return codes.where_outside(token.span, Place(before.span, "before-this"))
        reserved = before.type in ("TIER", "CLASS", "HAS", "DAYS") and self.at - 1 > self.start
        if reserved and self.tokens[self.at - 2].type != "DRAFT" and not _is_word(token):
            return codes.reserved_word(before.span, word=before.text)
        if expects_operand(self.expected):
            if _is_word(token) and token.word in RESERVED:
                return codes.reserved_word(token.span, word=token.text)
            if token.type in _SIGNS or _is_word(token):
                return codes.missing_operand(_behind(before), after=_shown(before))
            return None
        if token.type == "QUOTED" and before.word == "tag" and "PLUS" in self.expected:
            return codes.bare_tag(before.span.to(token.span), fix=Fix(before.span, "has tag"), tag=_shown(token))
        if before.type == "IN" and token.type in ("QUOTED", "NUMBER", "DATE"):
            last = self.at
            while last + 2 < len(self.tokens) and self.tokens[last + 1].type == "COMMA":
                last += 2
            span = token.span.to(self.tokens[last].span)
            return codes.bare_list(span, fix=Fix(span, f"({span.text})"))
        begins_operand = token.type in ("NUMBER", "QUOTED", "DATE", "OPEN") or _is_word(token)
        if "PLUS" in self.expected and begins_operand and token.text not in language.terminal_of_word():
            return codes.missing_operator(
                token.span,
                Place(self.before.span, "before"),
                before=_shown(self.before),
                written=_shown(token),
            )
        return None

    def _other(self) -> Problem:
        token = self.token
        opened = _open_parenthesis(self.tokens[self.start : self.at]) is not None
        if self.before.word == "last" and token.word in ("day", "week", "month", "quarter", "year"):
            return codes.last_without_number(token.span, unit=token.text)
        if token.word == "during" and self.tokens[self.start].word != "let" and self._behind_default():
            return codes.during_after_default(token.span)
        return codes.unexpected(
            token.span,
            written=_shown(token),
            after=_shown(self.before),
            **in_words(self.expected, self.tokens[self.start : self.at], opened),
        )

    def _behind_default(self) -> bool:
        recent = self.tokens[max(self.start, self.at - 4) : self.at]
        return any(token.type == "DEFAULT" for token in recent)


_SYNONYMS = {"else": "otherwise", "otherwise": "else", "if": "when", "where": "when", "except": "unless"}
"""Words of the language, and others, that are taken for one another."""

_SPOKEN = {
    "greater": ">",
    "more": ">",
    "above": ">",
    "over": ">",
    "less": "<",
    "fewer": "<",
    "below": "<",
    "under": "<",
    "equals": "=",
    "equal": "=",
    "at": ">=",
}
"""Operators as they are spoken."""

_SPOKEN_ENDS = frozenset({"than", "to", "least", "most"})

_SIGNS = frozenset(
    {
        "EQUAL",
        "UNEQUAL",
        "LESS",
        "LESS_OR_EQUAL",
        "MORE",
        "MORE_OR_EQUAL",
        "PLUS",
        "TIMES",
        "OVER",
        "COMMA",
        "CLOSE",
        "DOT",
    }
)
_LITERALS = frozenset({"NUMBER", "QUOTED", "DATE", BROKEN, "OPEN", "MINUS"}) | _SIGNS


def _is_name(token: Token) -> bool:
    return _is_word(token) and token.text not in language.terminal_of_word()


def _is_word(token: Token) -> bool:
    return token.type not in _LITERALS


def _open_parenthesis(tokens: Sequence[Token]) -> Token | None:
    """The last parenthesis that is open behind these tokens."""
    opened: list[Token] = []
    for token in tokens:
        if token.type == "OPEN":
            opened.append(token)
        elif token.type == "CLOSE" and opened:
            opened.pop()
    return opened[-1] if opened else None


def _behind(token: Token) -> Span:
    """The character behind a token, where something is missing."""
    return Span(token.reading.source, token.end, token.end)


def _shown(token: Token) -> str:
    return clip(token.text, 40)


def _role(before: Token) -> Word:
    """What the quoted text behind a word is."""
    terminals = ("TAG", "BECAUSE", "OWNER", "OTHERWISE", "ZONE", "FORMERLY", "EXAMPLE", "USE")
    return Word(f"text-of-{before.type.lower()}" if before.type in terminals else "a-text")
