# The menu. Anything longer than a line is a script, or Rust in xtask.
CARGO ?= cargo

.PHONY: up build test bench fuzz lint

up: build       ## everything on this machine, with a sample service; Ctrl-C ends it
	@./target/release/berth up --demo $(ARGS)

build:          ## target/release/berth
	@./tools/install-deps build
	@$(CARGO) xtask dist

test: build     ## every test
	@./tools/install-deps test
	$(CARGO) nextest run --workspace --no-fail-fast

bench: build    ## the figures of docs/performance.md, peers beside them
	@./tools/install-deps test
	@./tools/install-deps bench
	$(CARGO) run --release --quiet --package bench -- $(ARGS)

fuzz:           ## every parser of outside bytes for a minute; with nightly and cargo-fuzz if they are here
	@./tools/install-deps build
	@$(CARGO) xtask fuzz $(ARGS)

lint:           ## what a reviewer would say first
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
