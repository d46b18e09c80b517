# Every target is a script in scripts/; this file only names them.
.DEFAULT_GOAL := help
.PHONY: help run test soak scale fuzz lint bench release clean

help: ## Show what can be made
	@printf 'Signal: the real-time edge of a commerce platform\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and run everything in one process, with the demo page (Rust and a C compiler needed)
	@scripts/run

test: ## Install what the tests need, then run all of them (some half an hour from nothing)
	@scripts/test

soak: ## Play every fault at full size, dead servers to bad networks, and look whether what must hold holds (release build)
	@scripts/soak

fuzz: ## Fuzz what strangers may send, 20 s for each target (FUZZ_SECONDS=n)
	@scripts/fuzz

lint: ## Check formatting, lints, licences, dependencies and types
	@scripts/lint

bench: ## Measure memory and CPU per message against the floor (release build)
	@scripts/bench

scale: ## Measure how 1, 2 and 4 edges and workers share their load, and what a unit of work costs (release build)
	@scripts/scale

release: ## Build both binaries as they ship, with bills of materials and checksums (docs/releasing.md)
	@scripts/release

clean: ## Remove everything that was built
	@scripts/clean
