"""The checks of the contract, imported by `registry.all_checks()`."""
