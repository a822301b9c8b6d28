"""The catalogue: one file per family, imported by `registry.all_checks()`."""
