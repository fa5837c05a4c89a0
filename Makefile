# PAS: `make run` builds everything and runs the main job, `make test` tests everything.
# Works from any folder (make -C), with GNU make 3.81 and later, without a terminal.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# Where cargo puts what it builds; cargo itself reads CARGO_TARGET_DIR too.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Folder for `make run`; empty: the documents of the crates this build is made of.
CORPUS ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: ui
ui: ## Build the HMI's pages (ui/dist), if they have changed
	@scripts/ui.sh

.PHONY: build
build: ui ## Build the pas binary (release), with the pages in it
	@$(CARGO) build --locked --release --bin pas

.PHONY: run
run: build ## Run the ingest job on CORPUS=path, or on the documents of this build's crates
	@"$(TARGET)/release/pas" run ingest --keep $(if $(CORPUS),"$(CORPUS)")

.PHONY: stop
stop: ## Stop the daemon that `make run` left up
	@"$(TARGET)/release/pas" down

.PHONY: test
test: ## Check format and lints, then run all tests
	@scripts/setup-test.sh
	@scripts/test.sh

.PHONY: bench
bench: ui ## Measure; results in benches/RESULTS.md
	@$(CARGO) bench --locked --benches

.PHONY: otp-check
otp-check: ## Compare restart decisions with a real Erlang/OTP
	@scripts/setup-erlang.sh
	@tests/otp/check.sh

.PHONY: deny
deny: ## Check licences, advisories and sources of all dependencies
	@scripts/deny.sh
