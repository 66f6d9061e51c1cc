# Everything that is done here, by name: `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --frozen --all-extras
export UV_PYTHON_DOWNLOADS := never
export PYTHONPATH :=
export PIP_ROOT_USER_ACTION := ignore
# The authorities that this machine trusts, as pip does: behind a proxy that opens TLS uv's own list knows nobody.
export UV_SYSTEM_CERTS ?= 1
# What was compiled once is kept: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait more than they compute: two cores carry three workers. A file goes to one worker, in the order of collection.
WORKERS ?= 3
FUZZ_SECONDS ?= 300
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo up test unit integration lint fmt types docs baseline bench chaos chaos-long fuzz dashboard rules-test deploy-check app app-check app-test clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}'

setup: .venv/.ready ## install what is needed into .venv (uv comes through pip where it is missing)

.venv/.ready: pyproject.toml libs/client/pyproject.toml uv.lock
	@echo "installing what is needed into .venv, once"
	@command -v uv >/dev/null 2>&1 || test -x .tools/bin/uv || python3 -m pip install --quiet --disable-pip-version-check --target .tools uv
	@LC_ALL=C.UTF-8 $$(command -v uv || echo .tools/bin/uv) sync --quiet --frozen --all-extras --compile-bytecode
# Relative: before 3.13 Python does not start where a path has letters that the shell's language lacks.
	@cd .venv/lib/python3*/site-packages && echo ../../../.. > _editable_impl_pager.pth \
	  && echo ../../../../libs/client > _editable_impl_pager_client.pth
	@touch .venv/.ready

demo: setup ## a page from alert to acknowledgement, on this machine, in half a minute
	@$(RUN) pager demo

up: setup ## everything in the foreground, one process per service; Ctrl-C stops
	@$(RUN) pager up

test: setup ## all tests, on embedded servers, with the coverage gate
	@$(RUN) pytest $(PARALLEL) --cov --cov-report=
	@$(RUN) coverage report --fail-under=85 --skip-covered --skip-empty | tail -n 25

unit: setup ## the tests that need no server and compute little, whole flows among them: seconds
	@$(RUN) python -m tests.unit

integration: setup ## the promises, on real servers
	@$(RUN) pytest $(PARALLEL) libs services tests -m servers

lint: setup ## ruff, strict types, import rules
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy libs services cli bench tests docs deploy conftest.py
	@$(RUN) lint-imports

fmt: setup ## format and fix what can be fixed
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

types: setup ## strict types alone
	@$(RUN) mypy libs services cli bench tests docs deploy

docs: setup ## the event catalogue, OpenAPI, AsyncAPI, the Postman collection and the Python client, from the code
	@$(RUN) python -m docs.generate

baseline: setup ## a release: what later versions may not break is what OpenAPI and AsyncAPI say now
	@$(RUN) python -m docs.breaking

bench: setup ## the measured claims of the pipeline, as JSON
	@$(RUN) python -m bench.pipeline --rate 20 --seconds 100

chaos: setup ## what may happen to each part of the path, once, while alerts flow, and count from outside (a minute)
	@$(RUN) pytest tests/chaos -s

chaos-long: setup ## everything is killed in turn, with one and with two replicas: some six minutes of a whole machine
	@$(RUN) pytest tests/chaos --run-chaos --timeout=0 -s

fuzz: setup ## the running API against its own description, all checks (FUZZ_SECONDS=300)
	@$(RUN) --group fuzz python -m tests.fuzz --seconds $(FUZZ_SECONDS)

dashboard: setup ## the Grafana dashboard, from the code
	@$(RUN) python -m deploy.grafana.dashboard

rules-test: ## the alert rules fire when they must and stay silent when they must
	@command -v promtool >/dev/null 2>&1 || { echo "promtool is missing: apt-get install prometheus (Debian 12 has 2.42),"; \
	  echo "or a release of https://github.com/prometheus/prometheus"; exit 1; }
	@cd deploy/prometheus && promtool check config prometheus.yaml && promtool test rules rules_test.yaml

deploy-check: setup ## the image, the compose file and the chart, as far as they can be checked without a cluster
	@UV=$(UV) $(RUN) --group deploy python -m deploy.check
	@$(RUN) --group deploy pytest deploy/tests

# Node comes with Python's packages: nothing else has to be on the machine.
NPM = cd mobile && $(if $(findstring /,$(UV)),$(abspath $(UV)),$(UV)) run --frozen --all-extras --group app npm

mobile/node_modules/.package-lock.json: mobile/package.json mobile/package-lock.json
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

app: setup mobile/node_modules/.package-lock.json ## build the app in mobile/ into what the gateway serves
	@$(NPM) run --silent build

app-check: setup mobile/node_modules/.package-lock.json ## the app that is committed is what its sources build to
	@$(NPM) run --silent same

app-test: setup mobile/node_modules/.package-lock.json ## the app: its contract with the API, types, units, in a browser, the native projects
	@$(NPM) run --silent test
	@$(NPM) run --silent test:e2e

clean: ## remove what was installed and built here
	rm -rf mobile/node_modules mobile/coverage mobile/dist .venv .tools .mypy_cache .ruff_cache .import_linter_cache .coverage*
