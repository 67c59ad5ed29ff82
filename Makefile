# Two commands do everything: `make demo` and `make test`. Both set up what they need first.
.PHONY: help campaigns mutants demo test test-busy quick packages docs dist test-rig test-rig-camera test-trixie check unit bench demo-env \
	test-env bench-env release-env oldest-env clean train-report \
	train-report-full

help:
	@echo "make demo    sets everything up, then runs the main job on simulated cages (about two minutes)"
	@echo "make test    sets everything up, then runs the whole test suite, three files at a time (WORKERS=2: two)"
	@echo "make test-busy        the whole suite while eight processes keep the processor busy: no limit may be a clock's"
	@echo "make quick   the static checks and the pure tests, in parallel"
	@echo "make docs    the documents as a site, in build/site; fails on a dead link"
	@echo "make dist    wheel, source archive, SBOM and checksums, in dist/"
	@echo "make test-rig         boots the units in a container with real systemd (root; 2 minutes to build, 5 to run)"
	@echo "make test-rig-camera  the camera too, in an emulated machine (root; 4 minutes to build, 15 to run)"
	@echo "make test-trixie      the suite in a bare Debian 13, Python 3.13, as an ordinary user (root; TRIXIE=whole for all of it)"
	@echo "make bench   prints one table of time, memory and bytes"
	@echo "make campaigns  the campaigns that try to lose a reading, as long as with every change; docs/reliability.md"
	@echo "make mutants    plants 40 faults in a copy and prints which test catches each (an hour; MUTANTS=words: only some)"
	@echo "make train-report       every figure of the training, short (under an hour of CPU, resumable)"
	@echo "make train-report-full  the same with three seeds and more animals (overnight, resumable)"
	@echo "make check   only the static checks: ruff, mypy, the import contract"
	@echo "make clean   removes the virtual environments and caches"

# Hundreds of children of the tests import the same files: where this is set, each would compile all of them anew.
unexport PYTHONDONTWRITEBYTECODE

demo: demo-env
	@.venv/bin/cageclock demo $(DEMO_ARGS)

# A file stays with one worker, so what its tests share is made once; the longest files are begun first (tests/conftest.py).
WORKERS ?= 3
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: packages test-env oldest-env check
	@.venv/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-busy: packages test-env oldest-env
	@sh tools/busy.sh 8 .venv/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

# What the tests need from the system, looked for before anything is installed.
packages:
	@sh tools/system_packages.sh

quick: test-env check
	@.venv/bin/python -m pytest -q -n 2 --quick $(PYTEST_ARGS)

docs: test-env
	@rm -rf build/site-source && mkdir -p build/site-source
	@git ls-files -z -- '*.md' docs edge/contract/schemas edge/contract/identity.py edge/demo/bundle firmware_config \
		| xargs -0 cp --parents -t build/site-source
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build -q --strict
	@echo "build/site/README.html"

dist: release-env
	@rm -rf dist build/dist-env
	@CAGECLOCK_PAGE_ASSETS=required .venv/bin/python -m build -q --outdir dist .
	@sh tools/sbom.sh
	@cd dist && sha256sum *.whl *.tar.gz sbom.cdx.json > SHA256SUMS && cat SHA256SUMS

test-rig: test-env
	@bash tests/rig/build.sh container
	@CAGECLOCK_RIG=1 .venv/bin/python -m pytest tests/rig/test_container.py $(PYTEST_ARGS)

test-rig-camera: test-env
	@bash tests/rig/build.sh vm
	@CAGECLOCK_RIG=1 .venv/bin/python -m pytest tests/rig/test_camera.py -s $(PYTEST_ARGS)

test-trixie:
	@bash tests/rig/trixie.sh $(or $(TRIXIE),quick)

campaigns: test-env
	@sh tools/system_packages.sh
	@.venv/bin/python -m pytest -q -s tests/campaigns

mutants: test-env
	@sh tools/system_packages.sh
	@.venv/bin/python tools/mutants.py $(MUTANTS)

check: test-env
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

train-report: test-env
	@.venv/bin/python -m training.cli train-report --out runs/short $(REPORT_ARGS)

train-report-full: test-env
	@.venv/bin/python -m training.cli train-report --profile full --out runs/full $(REPORT_ARGS)

bench: bench-env oldest-env
	@sh tools/system_packages.sh
	@.venv/bin/python -m benchmarks

demo-env:
	@sh tools/prepare.sh demo

release-env:
	@sh tools/prepare.sh release

bench-env:
	@sh tools/prepare.sh bench

test-env:
	@sh tools/prepare.sh dev

oldest-env:
	@sh tools/oldest.sh

clean:
	rm -rf .venv .venv-oldest .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
