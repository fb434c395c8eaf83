"""Syntax trees to one checked ruleset: names resolved, types known, problems as values."""
