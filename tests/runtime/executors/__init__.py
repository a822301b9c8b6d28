"""Tests that import each other's helpers."""
