"""Every kind of problem, declared once: stable slug and severity.

Titles, messages and hints stand in `messages/<language>/*.toml` under the same slug; each has a page in `tests/corpus/`.
"""

from ruleengine.diagnostics.problem import Code, Severity

CODES: dict[str, Code] = {}


def _declare(slug: str, severity: Severity) -> Code:
    code = CODES[slug] = Code(slug, severity)
    return code


def _error(slug: str) -> Code:
    return _declare(slug, Severity.ERROR)


def _warning(slug: str) -> Code:
    return _declare(slug, Severity.WARNING)


# -- text: what can be wrong before a word of it is understood -------------------------------------------

# -- rules: what the checker finds ------------------------------------------------------------------------

no_rules = _error("no-rules")
no_entity = _error("no-entity")
second_entity = _error("second-entity")
duplicate_name = _error("duplicate-name")
window_name_taken = _error("window-name-taken")
unknown_name = _error("unknown-name")
unknown_events = _error("unknown-events")
unknown_function = _error("unknown-function")
unknown_tag = _error("unknown-tag")
unknown_ladder = _error("unknown-ladder")
unknown_value = _error("unknown-value")
unknown_zone = _error("unknown-zone")
ambiguous_name = _error("ambiguous-name")
metric_cycle = _error("metric-cycle")
rule_cycle = _error("rule-cycle")
draft_reference = _error("draft-reference")
not_a_condition = _error("not-a-condition")
not_a_metric = _error("not-a-metric")
incomparable = _error("incomparable")
no_order = _error("no-order")
not_a_number = _error("not-a-number")
not_a_text = _error("not-a-text")
not_a_date = _error("not-a-date")
different_results = _error("different-results")
inexact_argument = _error("inexact-argument")
wrong_arguments = _error("wrong-arguments")
mixed_events = _error("mixed-events")
not_beside_events = _error("not-beside-events")
nested_aggregate = _error("nested-aggregate")
misplaced_events = _error("misplaced-events")
misplaced_list = _error("misplaced-list")
not_a_list = _error("not-a-list")
too_many_decimals = _error("too-many-decimals")
too_many_digits = _error("too-many-digits")
second_window = _error("second-window")
nothing_to_window = _error("nothing-to-window")
ambiguous_during = _error("ambiguous-during")
misplaced_default = _error("misplaced-default")
parameter_steps = _error("parameter-steps")
parameter_types = _error("parameter-types")
empty_range = _error("empty-range")
wrong_place = _error("wrong-place")
unused = _warning("unused")
missing_not_matched = _warning("missing-not-matched")
review_overdue = _warning("review-overdue")
never_in_data = _warning("never-in-data")

# -- data: sources and what they hold ---------------------------------------------------------------------

# -- use: commands, settings, the store -------------------------------------------------------------------

ruleset_missing = _error("ruleset-missing")
ruleset_not_a_folder = _error("ruleset-not-a-folder")
manifest_missing = _error("manifest-missing")
manifest_not_utf8 = _error("manifest-not-utf8")
manifest_syntax = _error("manifest-syntax")
file_unreadable = _error("file-unreadable")
section_missing = _error("section-missing")
setting_missing = _error("setting-missing")
setting_unknown = _error("setting-unknown")
setting_empty = _error("setting-empty")
setting_unreadable = _error("setting-unreadable")
setting_not_text = _error("setting-not-text")
setting_not_whole = _error("setting-not-whole")
setting_not_table = _error("setting-not-table")
environment_misplaced = _error("environment-misplaced")
timezone_unknown = _error("timezone-unknown")
duration_unreadable = _error("duration-unreadable")
memory_unreadable = _error("memory-unreadable")
language_newer = _error("language-newer")
format_newer = _error("format-newer")
engine_unknown = _error("engine-unknown")
engine_not_yet = _error("engine-not-yet")
profile_unknown = _error("profile-unknown")
dsn_written_out = _error("dsn-written-out")
dsn_without_database = _error("dsn-without-database")
binding_unreadable = _error("binding-unreadable")
binding_needs_database = _error("binding-needs-database")
source_unbound = _error("source-unbound")
source_file_kind = _error("source-file-kind")
source_file_missing = _error("source-file-missing")
