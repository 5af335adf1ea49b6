# capbridge: the commands of a working day. `make demo` and `make test` need Rust, a C compiler and make.
CARGO ?= cargo
.PHONY: chaos demo test check setup fmt clippy docs deny units bench chains fuzz help

help:
	@echo "make demo   the main job between simulators, under a minute after the build"
	@echo "make test   everything: make check, unit, integration and documentation tests"
	@echo "make check  format, lints, documentation, licences"
	@echo "make chaos  faults in numbers on both stores; figures in target/chaos/summary.json"
	@echo "make chains 100,000 generated chains through two bridges face to face"
	@echo "make bench  benchmarks; figures in target/bench/summary.json"
	@echo "make fuzz   each fuzz target for FUZZ_SECONDS (60); ends by itself"

demo:
	$(CARGO) build --locked --bins
	$(CARGO) run --locked --quiet -p capbridge-exercise -- demo

test: setup check units

units:
	$(CARGO) build --locked --bins
	$(CARGO) nextest run --locked --workspace
	$(CARGO) test --locked --workspace --doc --quiet

check: fmt clippy docs deny

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --offline check licenses bans sources; \
	else echo "deny: skipped, cargo-deny is not installed"; fi

setup:
	sh scripts/setup.sh

chaos: setup
	$(CARGO) build --locked --bins
	$(CARGO) run --locked -p capbridge-tests --example chaos

bench: setup
	sh scripts/setup_bench.sh "$${CARGO_TARGET_DIR:-target}/shapely"
	$(CARGO) bench --locked --workspace

chains:
	CHAINS=100000 $(CARGO) nextest run --locked --release -p capbridge chains_keep

fuzz:
	sh scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)
