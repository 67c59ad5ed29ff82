"""Installing a model bundle: verify, canary, activate; the one writer of `<state_dir>/bundles`."""
