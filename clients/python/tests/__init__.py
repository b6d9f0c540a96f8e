"""Tests, by the standard library alone: ``KONSIL_PROGRAM=konsil python -m unittest`` in clients/python."""
