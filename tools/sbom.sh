#!/bin/sh
# Writes dist/sbom.cdx.json: the components of an environment that holds the wheel as a device installs it.
set -eu
cd "$(dirname "$0")/.."
wheel=$(ls dist/cageclock-*.whl)
.venv/bin/python -m venv build/dist-env
build/dist-env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$wheel[edge]"
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
    --output-file dist/sbom.cdx.json build/dist-env/bin/python
rm -rf build/dist-env
