"""Promises that are tested by breaking things: crashes, races and damage.

Each module does one thing a number of times, and answers how often what happened. `make test` asks for few,
`make test-slow` for more, and `make torture` for as many as docs/reliability.md tells of.
"""
