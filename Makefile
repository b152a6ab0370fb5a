# The few things one does here. `make` alone lists them.

.PHONY: help demo web build test check fuzz simulate storm bench

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 16

demo: ## Build, start Plimsoll, deploy an example from a git repository; Ctrl-C stops it all
	@scripts/demo

web: ## Build the web interface into web/dist, where the binary takes it from
	@scripts/web build

build: web ## The binary for use, with its web interface: target/release/plimsoll
	cargo build --release --locked --package plimsoll

test: ## Run all tests; installs what they need first
	@scripts/test-setup
	@scripts/web build
	cargo build --workspace --all-targets
	cargo nextest run --workspace -E 'not package(plimsoll-simulation)'
	cargo nextest run --cargo-profile simulation --package plimsoll-simulation
	cargo test --doc --package plimsoll-saga
	@scripts/web test

check: ## Format, lints, conventions: what is quick and must pass before a commit
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo xtask tidy

fuzz: ## Feed rubbish to whatever reads what others write, a minute for each target; seconds=N for more
	fuzz/run $(or $(seconds),60)

simulate: ## Simulate several servers in trouble: seeds=N from=M for more than CI does; seed=N tells one
	SIMULATE_SEED=$(seed) SIMULATE_SEEDS=$(seeds) SIMULATE_FROM=$(from) \
	cargo test --profile simulation --package plimsoll-simulation every_seed -- --nocapture

storm: ## Kill, pause and restart servers and PostgreSQL under 200 deployments; minutes=4, seed=N
	cargo build --workspace --bins --tests
	STORM_MINUTES=$(or $(minutes),4) $(if $(seed),STORM_SEED=$(seed)) cargo nextest run --workspace --profile storm

bench: ## Measure against the bare steps, the disk and peers; only=NAME runs one
	@bench/peers
	@scripts/web build
	cargo build --release --package plimsoll --package plimsoll-bench
	target/release/bench $(only)
