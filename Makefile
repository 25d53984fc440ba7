# Everything starts from python3, pip, make and git. `make test` and `make demo` set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := $(VENV)/.native
CARGO := cargo --quiet

.DEFAULT_GOAL := help
# The native kernels (native/) are optional: where no Rust toolchain is, or nothing can be fetched for it, a target says so and goes on. Once
# everything is here a failure is one: code that does not compile is never passed over.
RUST_READY = command -v cargo >/dev/null && $(CARGO) fetch --manifest-path native/Cargo.toml 2>/dev/null
MATURIN_READY = $(BIN)/python -m pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2' 2>/dev/null
SEEDS = (cd tests && ../$(BIN)/python -m support.fuzz_seeds ../native/fuzz/target/seeds)
NO_RUST = echo "Without the native kernels: there is no Rust toolchain, or its packages cannot be fetched."

.PHONY: help setup native native-wheels test test-long test-spark test-storage lint audit format image image-check infra-tools helm manifests demo bench bench-smoke bench-log bench-memory bench-service conformance fuzz fuzz-native fuzz-sanitized simulate simulate-aborts simulate-crashes simulate-drip simulate-fleet soak clean

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is %d.%d, but 3.11 or newer is needed: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Setting up $(VENV): minutes the first time."
	@# Debian splits ensurepip off; with only pip there, pip brings itself into the environment.
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## make .venv with everything that tests, demo and lint need

# Not in `setup`: its stamp stays away where they could not be built, so that each target says what it goes without.
$(NATIVE): $(STAMP) $(wildcard native/*.toml native/*.pyi native/src/*.rs native/src/*/*.rs)
	@if ! { $(RUST_READY) && $(MATURIN_READY); }; then $(NO_RUST); else echo "Building the native kernels, which are optional: minutes the first time."; \
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall ./native && touch $(NATIVE); fi

native: $(NATIVE)  ## build the native kernels and install them into .venv, where a Rust toolchain is

native-wheels: $(STAMP)  ## wheels of the native kernels in native/target/wheels: abi3, manylinux where `pip install ziglang` works
	@if ! { $(RUST_READY) && $(MATURIN_READY); }; then $(NO_RUST); else \
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check ziglang 2>/dev/null; then zig="--zig --compatibility manylinux2014"; \
	else echo "Without zig: a wheel for this machine's C library only."; zig="--compatibility linux"; fi; \
	cd native && PATH="$(abspath $(BIN)):$$PATH" maturin build --release $$zig; fi

infra-tools: $(STAMP)  # what else checks infra/; a test whose tool could not be fetched says so
	@$(BIN)/python tests/support/infra_tools.py

helm: $(STAMP)  ## build helm into .venv-infra, where Go is (minutes): the chart is then rendered by the tests too
	@$(BIN)/python tests/support/infra_tools.py helm

manifests: $(STAMP)  ## infra/kubernetes/service.yaml, rendered from the Helm chart, where helm is
	cd tests && ../$(BIN)/python -m support.chart

image:  ## the container image, by ENGINE=docker, podman or buildah; ARGS="--build-arg PYTHON_IMAGE=…" takes other bases
	$(or $(ENGINE),docker) build --tag lakehouse-compactor:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) $(ARGS) .

image-check: $(STAMP)  ## build the image and start it once, without a daemon where there is none (minutes); ARGS="--keep FOLDER" keeps what was made
	cd tests && ../$(BIN)/python -m image $(ARGS)

test: $(NATIVE) infra-tools  ## the tests (minutes)
	@if $(RUST_READY); then $(CARGO) test --no-default-features --manifest-path native/Cargo.toml; else $(NO_RUST); fi
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: $(NATIVE)  ## the same claims at full size: wide, huge, very many (tens of minutes, several GiB)
	$(BIN)/python -m pytest -m long --timeout 3600

test-spark: $(STAMP)  ## Delta on Spark beside us; skipped with a message where Java or Maven's repository is missing (minutes)
	@$(BIN)/python tests/spark/prepare.py; code=$$?; \
	if [ $$code = 0 ]; then TEST_SPARK=1 $(BIN)/python -m pytest -m spark tests/spark; else test $$code = 3; fi

test-storage: $(STAMP)  ## MORE=minio object stores that are not ours, for S3 and Azure; skipped with a message where they cannot be fetched (minutes)
	@names=$$($(BIN)/python tests/conformance/prepare_servers.py $(MORE)); code=$$?; \
	if [ $$code = 0 ]; then echo "asked: $$names"; TEST_STORAGE="$$names" $(BIN)/python -m pytest tests/conformance/test_storage.py tests/conformance/test_storage_servers.py \
	-k "$$(echo $$names servers | sed 's/ / or /g')"; else test $$code = 3; fi

lint: $(STAMP)  ## ruff and mypy; rustfmt and clippy where they are
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if ! { $(RUST_READY) && cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then \
	echo "native/ is not checked: rustfmt, clippy or the packages of the Rust toolchain are missing."; \
	else cd native && cargo fmt --check && cargo fmt --check --manifest-path fuzz/Cargo.toml && $(CARGO) clippy --all-targets -- -D warnings \
	&& $(CARGO) clippy --all-targets --no-default-features -- -D warnings \
	&& $(CARGO) clippy --manifest-path fuzz/Cargo.toml --all-targets $$(command -v c++ >/dev/null && echo --all-features) -- -D warnings; fi

audit: $(STAMP)  ## known vulnerabilities in the pinned dependencies; says so where their database cannot be reached
	@if test -x .venv-audit/bin/pip-audit || { $(BIN)/python -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet pip-audit; }; \
	then $(BIN)/python tests/audit.py .venv-audit/bin/pip-audit; else echo "Skipped: pip-audit could not be installed."; fi

format: $(STAMP)  ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if command -v cargo >/dev/null; then cd native && cargo fmt; fi

demo: $(NATIVE)  ## the main job on a store on loopback, under three minutes
	$(BIN)/compactor demo

bench: $(NATIVE)  ## BENCH_SCALE=0.5 ONLY=D1,D5 REPEAT=5 ARGS=--write ratios against deltalake, DuckDB, Polars and a byte copy
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-smoke: $(NATIVE)  ## what the bench runs, tiny, for correctness only (part of the tests)
	$(BIN)/python -m pytest -p no:xdist tests/unit/test_benchmarks.py tests/integration/test_bench_smoke.py

bench-log: $(STAMP)  ## a log of a million live files, against deltalake
	$(BIN)/python -m tests.benchmarks.log_scale

bench-service: $(STAMP)  ## 1,000 notifications a second, and a round of detection over 10,000 tables, against the bars (two minutes)
	cd tests && AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y ../$(BIN)/python -m fleet.detection $(ARGS)

bench-memory: $(NATIVE)  ## predicted against actual peaks of rewriting varied groups
	$(BIN)/python -m tests.benchmarks.memory

fuzz: $(NATIVE)  ## CASES=5000 random tables and twice as many changed Parquet files, judged by a reader that is not ours (nightly)
	FUZZ_CASES=$(or $(CASES),5000) $(BIN)/python -m pytest --timeout 7200 tests/properties/test_fuzz_tables.py tests/properties/test_mutated_parquet.py

fuzz-native: $(NATIVE)  ## RUNS=10000000 changed Parquet files merged page by page, against another decoder; a hundredth of them against pyarrow
	@if $(RUST_READY) && $(CARGO) fetch --manifest-path native/fuzz/Cargo.toml 2>/dev/null; then $(SEEDS); \
	$(CARGO) run --release --manifest-path native/fuzz/Cargo.toml --bin fuzz-native -- $(or $(RUNS),10000000) --folder native/fuzz/target/seeds; else $(NO_RUST); fi
	FUZZ_RUNS=$$(($(or $(RUNS),10000000) > 150000 ? $(or $(RUNS),10000000) / 100 : 1500)) $(BIN)/python -m pytest -s tests/properties/test_fuse_mutations.py

fuzz-sanitized: $(STAMP)  ## SECONDS=120 the same kernel guided by coverage, with AddressSanitizer; needs a nightly toolchain of Rust
	@if $(RUST_READY) && $(CARGO) fetch --manifest-path native/fuzz/Cargo.toml 2>/dev/null; then $(SEEDS); \
	native/fuzz/sanitized $(or $(SECONDS),120) target/seeds; else $(NO_RUST); fi

conformance: $(STAMP)  ## judge every public and own table again and write docs/conformance.md
	cd tests && ../$(BIN)/python -m conformance.report $(ARGS)

simulate: $(STAMP)  ## SEEDS=100 worlds of writers and compactors under a seed each, from seed FIRST=0 on, played twice and audited
	cd tests && ../$(BIN)/python -m simulation --first $(or $(FIRST),0) --seeds $(or $(SEEDS),100)

simulate-aborts: $(STAMP)  ## SEEDS=4 how often foreign writers abort without us, beside a service of ours, and beside one that does not wait for busy partitions
	cd tests && ../$(BIN)/python -m simulation.aborts --seeds $(or $(SEEDS),4)

simulate-crashes: $(STAMP)  ## CRASHES=1000 compactors die in the middle of worlds; bytes that are left unaccounted for (minutes)
	cd tests && ../$(BIN)/python -m simulation.crashes --crashes $(or $(CRASHES),1000)

simulate-drip: $(STAMP)  ## SCALE=20 what slow appends cost in rewritten bytes and files, against the bars, by replay and by real runs
	cd tests && ../$(BIN)/python -m simulation.drip --scale $(or $(SCALE),20)

simulate-fleet: $(STAMP)  ## a year of 10,000 tables, scheduled by need and by plainer rules, against the bars (minutes)
	cd tests && ../$(BIN)/python -m fleet $(ARGS)

soak: $(NATIVE)  ## 200 tables with writers and two replicas of the service, one killed now and then, for 20 minutes; ARGS="--tables 10 --minutes 1"
	cd tests && ../$(BIN)/python -m fleet.soak $(ARGS)

clean:  ## remove .venv and caches
	rm -rf $(VENV) .venv-audit .venv-infra .pytest_cache .mypy_cache .ruff_cache .hypothesis native/target build dist
