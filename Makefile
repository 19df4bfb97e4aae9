# Every target does the set-up it needs; it is quick when there is nothing to do.
SHELL := /bin/sh
BIN := .venv/bin
FOR ?=
WORLD ?=
WITH ?=
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.13 --universal --generate-hashes --no-emit-index-url
DG := DOLPHIN_DAGSTER_VAR=$${TMPDIR:-/tmp}/dolphin-dg VIRTUAL_ENV=$(CURDIR)/.venv PATH=$(CURDIR)/$(BIN):$$PATH dg

.DEFAULT_GOAL := help
.PHONY: docs documents image prove-scanner package scanner members prove-members alerts days prove-days prove-why defs live prove-live exchange unit integration worlds prove-worlds share prove-share help setup dev demo test window production runs prove-runs backtests factors recovery systemd e2e check fuzz chaos chaos-short prove-fuzz prove-backtests prove-reference record-reference prove-recovery render mutants format lock clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## make .venv with everything a stack needs; WITH="postgres ray" adds extras
	@scripts/bootstrap run $(WITH)

dev: ## make .venv with the tools of tests and checks as well
	@scripts/bootstrap dev

demo: setup ## replay the sample, trade it on paper, serve the Dagster UI; FOR=120 ends by itself, WORLD=bad-day has events, LIVE=1 trades live at a simulated venue
	@$(BIN)/dolphin up --demo $(if $(LIVE),--live) $(if $(FOR),--for $(FOR)) $(if $(WORLD),--world $(WORLD))

unit: dev ## unit tests alone
	@$(BIN)/pytest --durations=20 tests/unit

integration: dev ## integration tests alone
	@$(BIN)/pytest -n 2 --dist loadfile --durations=20 tests/integration

test: dev ## unit and integration tests: a real Hazelcast member, real processes
	@$(BIN)/pytest -n 3 --dist loadfile --durations=20 tests/integration tests/unit

backtests: dev ## backtests over real prices, paper days beside them, sweeps here and on Ray
	@$(BIN)/pytest tests/backtest

factors: dev ## external factors: every source and its faults, two writers, a rush, a backfill
	@$(BIN)/pytest tests/factors

recovery: dev ## kills, hangs, stale data, a suspect observer: what meta health does and leaves alone (needs root)
	@$(BIN)/pytest tests/recovery

systemd: dev ## the rendered units, and the stack under a systemd booted in a container (needs root)
	@$(BIN)/python -m compileall -q dolphin_realtime dolphin_dagster
	@$(BIN)/pytest tests/systemd

package: dev ## the wheel in an environment of its own, an empty folder, an empty home: the demo
	@$(BIN)/pytest tests/package

docs: dev ## the documents as a site with search, in var/docs; needs no network to be read
	@$(BIN)/sphinx-build -q -W --keep-going -j 2 -c docs -d var/docs-cache . var/docs
	@echo "open file://$(CURDIR)/var/docs/index.html"

documents: dev ## every command of the documents typed on a running demo; their site built and searched in a browser
	@$(BIN)/pytest --timeout=400 tests/docs

image: dev ## the image built, its compose file run (needs root, podman, buildah, runc)
	@$(BIN)/pytest tests/image

scanner: dev ## scans without NG6: a venue's public marks on loopback, its faults, a trader
	@$(BIN)/pytest tests/scanner

prove-scanner: dev ## the same over a day at sixty-fold speed: prints its gaps
	@SCANNER_HOURS=24 $(BIN)/pytest -s --timeout=1900 tests/scanner

members: dev ## three Hazelcast members on three machines (network namespaces): kills, splits (needs root)
	@$(BIN)/pytest tests/members

prove-members: dev ## the same with 20 kills and 5 splits: prints what each trader did
	@MEMBER_KILLS=20 MEMBER_SPLITS=5 $(BIN)/pytest -s tests/members

share: dev ## the bridge's reader on a slow, odd, failing network share (needs root and FUSE)
	@$(BIN)/pytest tests/share

prove-share: dev ## the same with 30,000 files and latencies of 0.1 to 2 ms a call: prints the table
	@SHARE_FILES=30000 SHARE_S=45 $(BIN)/pytest -s tests/share

fuzz: dev ## 10,000 mutated documents and files for each parser, twice
	@$(BIN)/pytest tests/fuzz

e2e: dev ## the Dagster UI in a real headless browser
	@$(BIN)/pytest --timeout=400 tests/e2e

window: dev ## services, conditions, alerts and figures as an operator sees them, on one running stack
	@$(BIN)/pytest --timeout=400 tests/window

production: dev ## storage in PostgreSQL, a read-only UI, nginx before both (as root: starts PostgreSQL as its own user)
	@$(BIN)/pytest --timeout=400 tests/production

alerts: dev ## the alerter and a real Prometheus Alertmanager
	@$(BIN)/pytest tests/alerts

days: dev ## two simulated days and two instances on a real daemon: everything by conditions, each once
	@$(BIN)/pytest tests/days

prove-days: dev ## the same with three days
	@DAYS=3 $(BIN)/pytest -s --timeout=1500 tests/days

prove-why: dev ## a thousand journalled decisions explained: recomputed = journalled; the time of the command
	@WHY=1000 $(BIN)/pytest -s --timeout=600 tests/integration/test_why.py

runs: dev ## runs asked at once over all queues, beside stock Dagster; killed workers, servers, daemon
	@$(BIN)/pytest -s tests/runs

prove-runs: dev ## the same with a hundred runs and a backfill of ten days
	@PROVE_RUNS=100 $(BIN)/pytest -s --timeout=6000 tests/runs tests/factors/test_queue.py

chaos-short: dev ## kills at each step, a few at random, a dying member, a full disk (needs root)
	@$(BIN)/pytest tests/chaos

chaos: dev ## the same with 50 random kills and 10 deaths of the member; CHAOS_KILLS=1000: three days in two worlds
	@CHAOS_KILLS=$${CHAOS_KILLS:-50} CHAOS_MEMBER_KILLS=10 $(BIN)/pytest -s --show-capture=no tests/chaos

exchange: dev ## the loopback venue, judged by Binance's SDK, ccxt and NautilusTrader as its clients
	@$(BIN)/pytest tests/exchange

live: dev ## a live trader on the loopback venue: every fault, kills, interlocks, each cure taken out
	@LIVE_HOURS=$${LIVE_HOURS:-0.1} $(BIN)/pytest -n 2 --timeout=300 tests/live

prove-live: dev ## the same with every step of a kill, 100 kills, and a day at sixty-fold speed: prints the tables
	@LIVE_SHARED_KEY=1 $(BIN)/pytest -s -n 2 --timeout=300 tests/live/test_fault_matrix.py
	@LIVE_STEPS=all LIVE_KILLS=100 LIVE_HOURS=24 $(BIN)/pytest -s --timeout=3600 tests/live

worlds: dev ## markets with wicks, redenominations, halts, holes: backtest, trader, archive, report, an operator
	@$(BIN)/pytest -s tests/worlds

prove-worlds: dev ## 20,000 random worlds: no profit of a price that is not sound (WORLDS=1000 for fewer)
	@WORLDS=$${WORLDS:-20000} $(BIN)/pytest tests/worlds/test_any_world.py

prove-fuzz: dev ## 100,000 mutated documents and files for each parser, twice
	@FUZZ_RUNS=100000 $(BIN)/pytest tests/fuzz

prove-backtests: dev ## the same over every recorded day
	@BACKTEST_DAYS=25 BACKFILL_DAYS=10 $(BIN)/pytest --timeout=1800 tests/backtest/test_backtests.py tests/backtest/test_backfill.py

prove-reference: dev ## every recorded day comes to what is written down, to the last digit
	@$(BIN)/python -m tests.reference.record --compare

record-reference: dev ## write down what every recorded day comes to (tests/data/reference)
	@$(BIN)/python -m tests.reference.record

prove-recovery: dev ## the same, and all of sixty runs
	@PROVE_RUNS=1 $(BIN)/pytest -s --timeout=900 tests/recovery

mutants: dev ## change the money and safety path, 300 places one by one: do unit tests notice? prints what they do not
	@$(BIN)/python scripts/mutants.py

check: dev ## format, lint, types, import rules, what is rendered, that every test can be loaded
	@$(BIN)/python scripts/render.py --check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(DG) check defs >.collected 2>&1 || { cat .collected; exit 1; }
	@$(BIN)/pytest --collect-only -qq tests scripts >.collected 2>&1 || { cat .collected; exit 1; }; rm -f .collected

defs: dev ## what Dagster holds of it all: assets, checks, jobs, schedules, sensors (dg list defs)
	@$(DG) list defs

render: dev ## write what is made from the code: deploy/, figures in docs/
	@$(BIN)/python scripts/render.py

format: dev ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: dev ## resolve the dependencies anew
	@$(COMPILE) --extra replay pyproject.toml -o requirements.lock
	@$(COMPILE) --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@for extra in java postgres ray; do \
	  $(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$$extra'], sep='\n')" \
	  | $(COMPILE) -c requirements.lock - -o requirements-$$extra.lock; done

clean: ## remove .venv, caches and the state under var/
	@if [ -x $(BIN)/dolphin ]; then $(BIN)/dolphin down 2>/dev/null || true; fi
	rm -rf .venv var ci-output logs .logs_queue .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
