"""Executors: two ways to run a study's trials, in this process or on Ray."""
