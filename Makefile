# Strowger. `make help` lists the targets.
PYTHON := build/venv/bin/python
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-conformance run demo test bench conformance turn-up hil-dahdi soak load storm line-faults simulate-day lock clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## set up this machine for `make run` (Debian packages, Python packages, native modules, prompts)
	@buildroot/host/setup.sh run

setup-test:
	@buildroot/host/setup.sh test

setup-conformance:
	@buildroot/host/setup.sh conformance

run: setup ## start the appliance on an emulated board with a far exchange that places calls; Ctrl-C stops it
	@exec $(PYTHON) -m hil.desktop

demo: setup-test ## three calls through the whole house, checked; account in build/demo/
	@exec $(PYTHON) -m hil.demo

test: setup-test ## all tests (under 20 minutes on 2 cores)
	@if [ -n "$(TEST)" ]; then exec $(PYTHON) -m pytest -q $(TEST); else exec $(PYTHON) -m tests.suite; fi

bench: setup-test ## measure; table and build/bench.json
	@exec $(PYTHON) -m tests.bench

soak: setup-test ## half an hour of calls, processes killed meanwhile; build/soak/ (SOAK_S=seconds; SOAK=density: an hour of full density)
	@exec $(PYTHON) -m $(if $(filter density,$(SOAK)),tests.soak_density,hil.soak)

storm: setup-test ## 64 spans flap at 1 Hz, then slip 10/s, ten minutes each; build/storm/ (STORM_S=seconds)
	@exec $(PYTHON) -m hil.storm

line-faults: setup-test ## 64 full spans with tones, each kind of line fault on one of them; build/line-faults/
	@exec $(PYTHON) -m hil.load.line_faults

simulate-day: setup-test ## a day of 1,000 agents and 110,000 calls in simulated time, recounted; build/day/ (DAY="--scale 0.1")
	@exec $(PYTHON) -m tests.day $(DAY)

load: setup-test ## full trunk load for ten minutes, then each fault in its middle; build/load/ (LOAD_S=seconds, LOAD="--faults none")
	@exec $(PYTHON) -m hil.load $(if $(LOAD_S),--seconds $(LOAD_S)) $(LOAD)

conformance: setup-conformance ## standards' tests by number; build/conformance.json
	@exec $(PYTHON) -m tests.conformance

hil-dahdi: setup-test ## DAHDI spans in a virtual machine without KVM: octets, ABCD bits, PRI calls, the card taken out, robbed-bit trunks, the whole house; build/dahdi/out/result.json (DAHDI="card t1": only these)
	@exec hil/dahdi/vm.sh python3 -m tests.dahdi $(or $(DAHDI),card calls t1 house)

turn-up: setup-test ## turn-up of 16 spans, some with faults that a seed chooses; acceptance reports in build/turn-up/
	@exec $(PYTHON) -m hil.acceptance

lock: ## renew requirements.lock from requirements.in
	@$(PYTHON) -m pip install -q pip-tools
	@build/venv/bin/pip-compile -q --generate-hashes --allow-unsafe --no-header --no-emit-index-url --no-emit-options --strip-extras -o requirements.lock requirements.in

clean: ## remove what was built (not var/)
	rm -rf build
	find dsp drivers firmware hil -name '*.so' -delete
