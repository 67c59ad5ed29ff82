#!/bin/sh
# Writes dist/sbom.cdx.json: the components of an environment that holds the wheel as a device installs it, and nothing besides.
set -eu
cd "$(dirname "$0")/.."
wheel=$(ls dist/cageclock-*.whl)
# Without pip and setuptools of its own: they are no part of what a device runs.
.venv/bin/python -m venv --without-pip build/dist-env
.venv/bin/python -m pip --python build/dist-env/bin/python install --quiet --disable-pip-version-check -c constraints.txt "$wheel[edge]"
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
    --output-file dist/sbom.cdx.json build/dist-env/bin/python
# pyproject.toml has no version of its own to read (it stands in edge/version.py), so the list would not say of which it is.
build/dist-env/bin/python - "$wheel" <<'PYTHON'
import json, sys
from importlib.metadata import version

with open("dist/sbom.cdx.json", encoding="utf-8") as file:
    listed = json.load(file)
listed["metadata"]["component"]["version"] = version("cageclock")
names = {component["name"].lower() for component in listed["components"]}
assert f"cageclock-{version('cageclock')}-" in sys.argv[1] and {"msgspec", "numpy", "paho-mqtt"} <= names, names
with open("dist/sbom.cdx.json", "w", encoding="utf-8") as file:
    json.dump(listed, file, indent=2, ensure_ascii=False)
    file.write("\n")
PYTHON
rm -rf build/dist-env
