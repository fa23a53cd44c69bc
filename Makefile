STACK ?= azure-dev
PORT ?= 0
# Python replaces a recipe's shell (`exec`), so that a signal to the process that `make` started reaches it.
quote = '$(subst ','\'',$(1))'
QUOTED_STACK = $(call quote,$(value STACK))
NEW_STACK_ARGUMENTS := STACK CLOUD ENVIRONMENT LOCATION ORGANIZATION OWNER AUTHORIZED_RANGES
OPERATIONS := status health smoke-test validate-config scale logs backup restore-test failover failback validate rotate-password
REPORT_ARGUMENTS := FORMAT BASE LIMIT OUT
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := uv==0.13.8
READY := $(VENV)/.ready
ACTIONLINT := .groundwork/actionlint
LIFECYCLE := platform/lifecycle
LIFECYCLE_READY := $(LIFECYCLE)/.venv/.ready
SITE_VENV := .venv-docs
SITE_READY := $(SITE_VENV)/.ready
# Workers get whole files, in the order of pytest's `testpaths`. RERUNS=1 repeats each failed test once.
PYTEST_OPTIONS := --numprocesses auto --dist loadfile --no-loadscope-reorder
RERUN_OPTION = $(if $(RERUNS),--reruns $(RERUNS))
# The rollout's tests query a real Prometheus.
WITH_PROMETHEUS = GROUNDWORK_PROMETHEUS="$${GROUNDWORK_PROMETHEUS:-$$($(PYTHON) -m rehearsal.scenarios.prometheus)}" \
	&& export GROUNDWORK_PROMETHEUS

# Container images set it; each of the many Python processes would then compile every library that it imports again.
unexport PYTHONDONTWRITEBYTECODE

# Make ignores a variable that nothing reads: with `stack=aws-dev` it would work on the default stack.
OVERRIDES := $(foreach item,$(MAKEOVERRIDES),$(if $(findstring =,$(item)),$(firstword $(subst =, ,$(item)))))
UNKNOWN := $(strip $(foreach name,$(filter-out $(NEW_STACK_ARGUMENTS) $(REPORT_ARGUMENTS),$(OVERRIDES)),$(shell grep -q '[({,]$(name)[)},]' Makefile || echo '$(name)')))
$(if $(UNKNOWN),$(error This Makefile reads no variable '$(UNKNOWN)'; those that it reads are in capitals, as in STACK=aws-dev))

.DEFAULT_GOAL := help
# Targets with a description, and those that `OPERATIONS` lists.
.PHONY: $(OPERATIONS) $(shell awk -F: '/^[a-z-]+:.*\#\# / { print $$1 }' Makefile)

# Folders are not targets, but `make` would find them up to date.
FOLDERS := infra kernel platform policies rehearsal stacks tests
.PHONY: $(FOLDERS)
$(FOLDERS):
	@echo "'$@' is a folder, not a target: 'make help' lists the targets." >&2; exit 2

help: ## List the targets
	@echo "make <target> [STACK=<stack>], by default azure-dev"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/\$$\$$/, "$$", $$2); printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Create the Python environment in .venv

# Synchronized whenever the lock file changes. The marker is written last, so that an interrupted setup is repeated.
$(READY): requirements.txt
	@scripts/create-environment $(VENV) $< 2 $(UV)
	@touch $@

# Names of settings are common in environments, so only variables on the command line count, as they are written there.
new-stack: $(READY) ## Write the settings of a new stack; asks at a terminal for those that are not set: STACK= CLOUD= ...
	@exec $(PYTHON) -m deploy.new_stack $(foreach name,$(NEW_STACK_ARGUMENTS),$(if $(findstring command,$(origin $(name))),$(name)=$(call quote,$(value $(name)))))

# Circumstances of a rehearsal. Only the day is also read from the environment, where the other names are common.
SCENE = $(if $(TODAY),--today "$(TODAY)") $(call OPTION,CALLER,--caller) $(call OPTION,ACCOUNT,--account) $(call OPTION,SOLD_OUT,--sold-out) $(call OPTION,GRANTS,--grants)

rehearse: $(READY) ## Bring STACK up on simulated clouds; with STRICT=1, a chart that cannot be rendered is an error
	@exec $(PYTHON) -m rehearsal up $(QUOTED_STACK) --port $(PORT) $(if $(STRICT),--strict) $(if $(CONFIRM),--confirm "$(CONFIRM)") $(SCENE)

rehearse-destroy: $(READY) ## Destroy the rehearsed STACK
	@exec $(PYTHON) -m rehearsal destroy $(QUOTED_STACK) --port $(PORT) $(SCENE)

rehearse-reset: $(READY) ## Discard the rehearsal of STACK: its simulated resources and its state
	@exec $(PYTHON) -m rehearsal reset $(QUOTED_STACK)

rehearse-move: $(READY) ## Change the clouds of the rehearsed STACK as ACTOR=<autoscaler|growth|failover|patch|rotation|end-of-support|person>
	@exec $(PYTHON) -m rehearsal move $(QUOTED_STACK) --port $(PORT) $(call OPTION,ACTOR,--actor) $(SCENE)

# The shell expands what make exports, so that a reference or a path is never part of the command.
report: $(READY) ## Report on STACK: FORMAT=markdown or html; BASE=<git reference> compares, OUT=<file> writes to a file
	@$(PYTHON) -m reporting "$(STACK)" $(foreach name,$(REPORT_ARGUMENTS),$(if $(findstring command,$(origin $(name))),--$(shell echo $(name) | tr A-Z a-z) "$$$(name)"))

cost: $(READY) ## Estimate what STACK costs a month; DIFF=<stack or commit> compares, FORMAT=text, json or markdown
	@exec $(PYTHON) -m rehearsal cost $(QUOTED_STACK) --port $(PORT) $(if $(DIFF),--diff "$(DIFF)") $(if $(FORMAT),--format "$(FORMAT)")

duration: $(READY) ## Estimate how long a first deployment of STACK takes, from its critical path; FORMAT= as for cost
	@exec $(PYTHON) -m rehearsal duration $(QUOTED_STACK) --port $(PORT) $(if $(FORMAT),--format "$(FORMAT)")

prices: $(READY) ## Read the clouds' public price lists again, and update the prices that estimates use
	@$(PYTHON) -m estimates

constraints: $(READY) $(LIFECYCLE_READY) ## Read the constraints on inputs again from the clouds' API descriptions, for the simulated clouds
	@$(PYTHON) -m rehearsal.api_constraints

lifecycle: $(READY) $(LIFECYCLE_READY) ## Train, promote, serve, roll out and roll back models on the rehearsed STACK
	@exec $(PYTHON) -m rehearsal lifecycle $(QUOTED_STACK) --port $(PORT)

scenario: $(READY) ## Take STACK through NAME=<scenario>, such as destroy-then-up, or all; updates docs/scenarios.md
	@exec $(PYTHON) -m rehearsal scenario $(QUOTED_STACK) $(call OPTION,NAME,--name)

shell: $(READY) ## Open a shell in which `pulumi` acts on the rehearsed STACK
	@exec $(PYTHON) -m rehearsal shell $(QUOTED_STACK) --port $(PORT) $(SCENE)

env: $(READY) ## Serve the simulated clouds in the background; eval "$$(make -s env)" to use them
	@exec $(PYTHON) -m rehearsal env $(QUOTED_STACK) --port $(PORT)

stop: $(READY) ## Stop what `make env` started
	@exec $(PYTHON) -m rehearsal stop $(QUOTED_STACK)

preflight preview drift up destroy: $(READY)
	@exec $(PYTHON) -m deploy $@ $(QUOTED_STACK) $(if $(filter 1 yes true,$(YES)),--yes) $(if $(CONFIRM),--confirm "$(CONFIRM)") $(if $(LOG),--log "$(LOG)")

preflight: ## Check what STACK needs on its real cloud: settings, tools, backend, credentials, account
preview: ## Preview STACK on its real cloud; LOG=<file> writes the engine's events
drift: ## Compare STACK's real cloud with its program, and fail if they differ
up: ## Deploy STACK to its real cloud; with YES=1, without asking; CONFIRM=<setting> allows a change that loses data
destroy: ## Destroy STACK on its real cloud; with YES=1, without asking

# Variables that the action does not read are not passed on: their names are common in environments.
OPTION = $(if $(findstring command,$(origin $(1))),$(2) "$($(1))")
$(OPERATIONS): $(READY)
	@$(PYTHON) -m operations $@ "$(STACK)" $(call OPTION,WORKLOAD,--workload) $(call OPTION,REPLICAS,--replicas) \
		$(call OPTION,POOL,--pool) $(call OPTION,MINIMUM,--minimum) $(call OPTION,MAXIMUM,--maximum) $(call OPTION,SINCE,--since) \
		$(call OPTION,KEEP,--keep) $(if $(filter 1 yes true,$(PLANNED)),--planned) $(if $(filter 1 yes true,$(YES)),--yes)

deploy: $(READY) ## Deploy ENV=<dev|staging|prod>, or STACK, to its real cloud, then check its health and test it; YES=1 does not ask
	@$(PYTHON) -m operations deploy $(if $(findstring command,$(origin STACK)),"$(STACK)") $(call OPTION,ENV,--env) \
		$(call OPTION,CLOUD,--cloud) $(if $(filter 1 yes true,$(YES)),--yes)

bootstrap: $(READY) ## Create BACKEND=<s3://..., azblob://...> for states and backups in LOCATION; lists it first, YES=1 creates it
	@$(PYTHON) -m operations bootstrap $(call OPTION,BACKEND,--backend) $(call OPTION,LOCATION,--location) $(if $(filter 1 yes true,$(YES)),--yes)

status: ## Show what is deployed of STACK: resources, outputs, nodes, models, backup
health: ## Check that everything that STACK runs is healthy
smoke-test: ## Check that STACK admits, refuses and runs pods, and that its services answer
validate-config: ## Check the settings of STACK, without a cloud
scale: ## Scale WORKLOAD=<namespace>/<name> to REPLICAS, or POOL=<system|user|gpu> to MINIMUM and MAXIMUM nodes
logs: ## Show pods, events and output of WORKLOAD=<namespace>/<name> of STACK, SINCE=1h
backup: ## Save database, artifacts and engine state of STACK to its resilience.backupStore
restore-test: ## Restore the newest backup of STACK into a scratch database, compare it, and drop it
failover: ## Have the standby of STACK, whose region is down, serve from its newest backup; PLANNED=1 if STACK still answers
failback: ## Have STACK serve again with what its standby wrote; KEEP=<standby> if both have written
validate: ## Check that the serving stack has what was backed up, that its preview is empty, and that its standby answers
rotate-password: ## Give the database of STACK another password, and restart MLflow with it; YES=1 does not ask

changed-stacks: $(READY) ## List the stacks that the change from BASE=<commit or branch> concerns
	@$(PYTHON) -m delivery changed-stacks "$(BASE)"

audit: $(READY) ## Evaluate the state of STACK, FILE=<export>, LOG=<events> or MANIFESTS=<folder>; FORMAT=table, json, sarif, junit
	@$(PYTHON) -m delivery audit "$(STACK)" $(call OPTION,FILE,--file) $(call OPTION,LOG,--log) $(call OPTION,MANIFESTS,--manifests) \
		$(call OPTION,FORMAT,--format) $(call OPTION,OUTPUT,--output) $(call OPTION,LEVEL,--level)

# Builds come first: tests that need a quick answer from a process would fail while builds run.
test: $(READY) $(LIFECYCLE_READY) ## Run all tests except those of `make soak`
	@$(PYTHON) -m rehearsal.scenarios.programs || echo "Tests that need these programs are skipped, with the reason." >&2
	@$(MAKE) --no-print-directory test-lifecycle; lifecycle=$$?; \
		$(PYTHON) -m pytest $(PYTEST_OPTIONS) $(RERUN_OPTION) && exit $$lifecycle

test-fast: $(READY) $(LIFECYCLE_READY) ## Run the quick tests, which start no processes
	@cd $(LIFECYCLE) && .venv/bin/python -m pytest $(PYTEST_OPTIONS) -m "not process and not soak and not slow"
	@$(PYTHON) -m pytest $(PYTEST_OPTIONS) -m "not process and not slow" tests/unit

test-lifecycle: $(READY) $(LIFECYCLE_READY) ## Run the tests of platform/lifecycle in its own environment
	@$(WITH_PROMETHEUS) && cd $(LIFECYCLE) && .venv/bin/python -m pytest $(PYTEST_OPTIONS) $(RERUN_OPTION) -m "not soak"

soak: $(READY) $(LIFECYCLE_READY) ## Run the long tests: every crash point, the model lifecycle on both clouds
	@$(WITH_PROMETHEUS) && cd $(LIFECYCLE) && .venv/bin/python -m pytest $(PYTEST_OPTIONS) -m soak
	@$(PYTHON) -m pytest $(PYTEST_OPTIONS) -m soak tests/soak

# Charts are rendered once for all mutants, from GROUNDWORK_CHARTS.
mutate: $(READY) ## Leave one thing out of the program at a time, and see if a check notices: LIMIT=, SEED=, SHARD=1/8, JOBS=
	@$(PYTHON) -m tests.mutation run $(call OPTION,LIMIT,--limit) $(call OPTION,SEED,--seed) $(call OPTION,SHARD,--shard) $(call OPTION,JOBS,--jobs)

docs-mutations: $(READY) ## Write docs/mutations.md from the results of make mutate
	@$(PYTHON) -m tests.mutation report

# kfp needs protobuf 6 and pulumi-policy protobuf 5, so they cannot share an environment.
$(LIFECYCLE_READY): $(READY) $(LIFECYCLE)/requirements.txt
	@scripts/create-environment $(LIFECYCLE)/.venv $(LIFECYCLE)/requirements.txt 2 $(UV) $(VENV)/bin/uv
	@touch $@

lint: $(READY) $(ACTIONLINT) ## Check style, types, imports, YAML, shell scripts, Dockerfiles and workflows, except those of lint-lifecycle
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/mypy
	@$(VENV)/bin/yamllint --strict .
	@$(VENV)/bin/shellcheck .ci/run scripts/commit-digests scripts/create-environment scripts/publish-image
	@$(VENV)/bin/hadolint $(LIFECYCLE)/images/*/Dockerfile
	@$(VENV)/bin/zizmor --offline --quiet --no-progress .github
	@if test -s $(ACTIONLINT); then PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(ACTIONLINT); \
		else echo "Workflows were not checked: actionlint is built with Go, which is not on PATH." >&2; fi

lint-lifecycle: $(READY) $(LIFECYCLE_READY) ## Check types and imports of platform/lifecycle, in its own environment
	@cd $(LIFECYCLE) && "$(CURDIR)/$(VENV)/bin/mypy" --python-executable .venv/bin/python
	@cd $(LIFECYCLE) && PYTHONPATH=src .venv/bin/lint-imports --no-cache

# An empty file if Go is missing, which `lint` reports. actionlint finds the pinned shellcheck for `run:` steps on PATH.
$(ACTIONLINT): third_party/go/actionlint/go.mod third_party/go/actionlint/go.sum
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then cd $(<D) && go build -o "$(CURDIR)/$@" github.com/rhysd/actionlint/cmd/actionlint; \
		else : > $@; fi

format: $(READY) ## Format the code and apply automatic fixes
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format --quiet .

docs: $(READY) ## Generate the reference documentation from the code: settings, access table, controls, rules of the simulated clouds
	@$(PYTHON) -m infra.reference --write
	@$(PYTHON) -m policies.catalogue --write
	@$(PYTHON) -m rehearsal.fidelity --write

plan-guard: $(READY) ## Check that losses of data in a preview of any Pulumi project are approved: FILE=<its JSON> APPROVALS=<file>
	@$(PYTHON) -m plan_guard "$(FILE)" --approvals "$(or $(APPROVALS),stacks/approvals.yaml)"

policy-pack: $(READY) ## Write the policy pack for other projects to FOLDER=<folder>, by default dist/policy-pack
	@$(PYTHON) -m policies.distribution "$(or $(FOLDER),dist/policy-pack)"

docs-cost: $(READY) ## Compute the figures of docs/cost.md from the stacks
	@$(PYTHON) -m tests.support.cost_page

docs-lifecycle: $(LIFECYCLE_READY) ## Generate the reference of the settings of platform/lifecycle
	@cd $(LIFECYCLE) && PYTHONPATH=src .venv/bin/python -m lifecycle.reference --write "$(CURDIR)/docs/lifecycle-settings.md"

# MkDocs has its own environment: nothing else needs it.
$(SITE_READY): requirements-docs.txt
	@scripts/create-environment $(SITE_VENV) $< 1 $(UV)
	@touch $@

docs-site: $(SITE_READY) ## Build the documentation's site into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(SITE_VENV)/bin/mkdocs build --strict

observability: $(READY) ## Generate the rules of SLOs and Grafana's dashboards from the code of observability
	@$(PYTHON) -m observability --write

COMPILE := "$(CURDIR)/$(VENV)/bin/uv" pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes

lock: $(READY) ## Compile each requirements.txt from requirements.in or the lifecycle package's pyproject.toml
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-docs.in -o requirements-docs.txt
	@cd $(LIFECYCLE) && $(COMPILE) pyproject.toml --all-extras --group pyproject.toml:test -o requirements.txt
	@cd $(LIFECYCLE) && for image in serving training promotion experiment drift; do \
		$(COMPILE) pyproject.toml --extra $$image -c requirements.txt -o images/$$image/requirements.txt || exit 1; done

bench: $(READY) ## Measure time and memory of rehearsals; writes docs/benchmarks.md
	@$(PYTHON) -m rehearsal.benchmark

bench-first: $(READY) ## Measure the first rehearsal of a fresh clone with empty caches; writes docs/benchmarks-first.md
	@$(PYTHON) -m rehearsal.first_run_benchmark

bench-policies: $(READY) ## Measure what the policy pack costs a preview, and each control; writes docs/benchmarks-policies.md
	@$(PYTHON) -m rehearsal.policy_benchmark

bench-lifecycle: $(LIFECYCLE_READY) ## Measure serving and promotion; writes docs/benchmarks-lifecycle.md
	@cd $(LIFECYCLE) && .venv/bin/python -m bench lifecycle "$(CURDIR)/docs/benchmarks-lifecycle.md"

bench-experiment: $(LIFECYCLE_READY) ## Measure the experiment router and the analysis of drift; writes docs/benchmarks-experiments.md
	@cd $(LIFECYCLE) && .venv/bin/python -m bench experiments "$(CURDIR)/docs/benchmarks-experiments.md"
