"""Is there a bundle that may be used, and does this machine compute with it what it must?"""

from __future__ import annotations

from edge.bundle.selected import bundle_path, load, trusted_keys
from edge.config.tree import Config
from edge.contract.bundle.bundle import read_bundle
from edge.doctor.finding import Finding
from edge.errors import BundleError, OperatorError
from edge.vision.rehearsal import rehearse

NAME = "model"


def check_model(config: Config) -> Finding:
    """Return whether the golden inputs give the golden outputs within their tolerance."""
    try:
        model = load(config)
        bundle = read_bundle(bundle_path(config), trusted_keys(config))
        failures = rehearse(model, bundle)
    except OperatorError as error:
        return Finding(NAME, False, str(error), "set bundle.path and bundle.trusted_keys")
    except BundleError as error:
        return Finding(NAME, False, str(error), "copy a bundle that is signed for this device")
    said = model.describe()
    if failures:
        text = f"{said.name} {said.model_version}: {failures[0]}"
        return Finding(NAME, False, text, "update the runtime to the one that the bundle names, or go back a release")
    if config.cage.strain is not None and config.cage.strain not in model.manifest.validity.strains:
        known = ", ".join(model.manifest.validity.strains)
        advice = f"no age will be given; a bundle for it is needed (this one knows {known})"
        return Finding(NAME, False, f"{said.name} does not know the strain {config.cage.strain}", advice)
    text = f"{said.name} {said.model_version} (release {said.release}, {said.runtime}), golden outputs met"
    return Finding(NAME, True, f"{text}; {said.notice}")
