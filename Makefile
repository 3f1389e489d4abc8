# What one can run here. CONTRIBUTING.md says more.

PYTHON ?= python3
MODEL  ?= smollm2
PROMPT ?= What is the capital of France?

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK = 1
PIP   = python -m pip install --quiet
CMAKE = cmake -G Ninja --log-level=ERROR -S .

.PHONY: run build test lint torture sanitize fuzz bench peers wheel sdist clean

run: build  ## build, get a small model and let it answer
	sh ci/demo.sh "$(MODEL)" "$(PROMPT)"

build: .venv/.built  ## .venv, llama.cpp's source, the engine for this CPU, an editable install
	python vendor/llama.cpp/fetch.py
	$(CMAKE) -B build/dev
	ninja -C build/dev
	$(PIP) --no-build-isolation --editable .

.venv/.built: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'lcrt needs Python 3.11 or later')"
	test -d .venv || $(PYTHON) -m venv .venv
	@echo "installing the build's tools"
	$(PIP) "cmake>=3.26.1" "cython>=3.1" "ninja>=1.11" "scikit-build-core>=1.0"
	touch $@

.venv/.dev: pyproject.toml | build
	@echo "installing the tools of the tests and gates"
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@

test: build .venv/.dev  ## C tests, Python tests, the whole of it on a real model
	python ci/models.py
	python -m ci.minilm
	@sh ci/registry.sh
	ctest --test-dir build/dev --output-on-failure
	pytest

lint: build .venv/.dev  ## every gate that reads the code
	sh ci/lint.sh

torture: build .venv/.dev  ## kill what changes a store at 10,000 points and look at what is left
	python -m tests.store.crash.torture --points 9400
	python -m tests.store.crash.daemon --points 600
	python -m tests.store.crash.full || [ $$? -eq 77 ]
	python -m tests.store.crash.full_pull || [ $$? -eq 77 ]
	python -m tests.store.crash.readonly || [ $$? -eq 77 ]
	python -m tests.store.crash.crowd

sanitize: .venv/.built  ## C tests under ASan+UBSan and under TSan
	sh ci/sanitize.sh

fuzz: build .venv/.dev sanitize  ## the engine under random jobs for an hour (MINUTES=60), and ten minutes on a real model
	python ci/models.py
	sh ci/fuzz.sh $(MINUTES)

bench: build peers  ## measure against llama.cpp's own programs; bench/README.md
	python ci/models.py
	python -m ci.minilm
	python -m bench

peers: .venv/.built  ## llama.cpp's programs from the same source with the same flags, into build/peers/bin
	python vendor/llama.cpp/fetch.py
	$(CMAKE) -B build/peers -DLCRT_PEERS=ON
	ninja -C build/peers llama-server llama-bench llama-batched-bench llama-quantize

wheel: .venv/.built  ## a wheel for every CPU of this architecture, into dist/
	python vendor/llama.cpp/fetch.py
	python -m pip wheel --no-build-isolation --no-deps --wheel-dir dist .

sdist: .venv/.built  ## source archive with llama.cpp's source in it, into dist/
	python vendor/llama.cpp/fetch.py
	python -c "from scikit_build_core.build import build_sdist; print('dist/' + build_sdist('dist'))"

clean:  ## what the build made; the environment and the fetched source stay
	rm -rf build dist
