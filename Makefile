# The menu. Anything longer than a line is a script or Rust in xtask.
CARGO ?= cargo

.PHONY: build test bench deps lint

deps:           ## what a fresh Debian machine lacks
	./tools/install-deps

build: deps     ## the berth binary and the small programs beside it
	$(CARGO) build --release -p berth

test: deps      ## every test
	$(CARGO) nextest run --workspace --no-fail-fast

lint:           ## what a reviewer would say first
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
