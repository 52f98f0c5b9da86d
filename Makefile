# The two commands of the README are `make demo` and `make test`; `make` alone lists all.
SHELL := /bin/bash
# Where Go's own installer puts it comes last.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH):/usr/local/go/bin
# What runs TypeScript is stripped of its types once and not a process each: `--help` takes 0.8 s of CPU instead of 1.6, and V8 runs no WebAssembly
# in several threads of a process at once, whose account of compiled code ended one in some dozen runs (`jit_page.has_value()`; nodejs/node issue 64500).
export NODE_COMPILE_CACHE := $(CURDIR)/.build/compile-cache

.DEFAULT_GOAL := help
.PHONY: help setup test check image desk release-file cluster cluster-down bench soak torture api-fuzz attack matrix life big-disk nas test-gitops demo dev demo-down clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## everything that the other commands need; nothing to do when it is there
	@test/setup/setup.sh

check: setup ## types, Biome, import arrows, dead exports, generated files
	@npm run --silent check

test: image ## all set-up and every test; says where the time went
	@test/setup/test.sh

image: setup ## the image as .build/image.tar, what it is made of as .build/image.cdx.json
	@test/setup/image.sh .build/image.tar

desk: setup ## the command for a desk as a package of npm, .build/desk/bootfarm-VERSION.tgz, and its manifest for krew, with ADDRESS=https://…
	@node test/setup/desk.ts $(ADDRESS)

release-file: setup ## everything of deploy/base in one file, .build/bootfarm.yaml, with IMAGE=repository:tag
	@test/setup/release-file.sh .build/bootfarm.yaml $(IMAGE)

clean: ## what was built in this checkout; the cache stays
	rm -rf .build dist

cluster: setup ## a three-node cluster in network namespaces, left running
	@node test/cluster/up.ts

cluster-down: ## ends it and removes every trace
	@node test/cluster/down.ts

bench: setup ## every figure beside its peer, one JSON line each
	@npm run --silent bench -- all

soak: setup ## the simulator's farms in virtual time, 10 million steps from SEED on (it prints one), and 10,000 stories of copies: what breaks is told by its seed
	@make --silent -C target simulation
	@node test/simulation/simulate.ts --steps 10000000 --seed $(or $(SEED),$$RANDOM$$RANDOM)
	@COPIES_RUNS=10000 COPIES_SEED=$(or $(SEED),$$RANDOM) npm test --silent -- test/simulation/copies --selectProjects unit

torture: setup ## images changed in 100,000 ways by a SEED (it prints one) through every reader: no crash, no second, no 64 MiB, no other file
	@node test/fuzz/torture.ts --runs $(or $(RUNS),100000) --seed $(or $(SEED),$$RANDOM$$RANDOM)

api-fuzz: setup ## schemathesis (SCHEMATHESIS, of `pip install schemathesis==4.32.5`) over the document of the API: no 5xx, no answer that it does not state
	@node --disable-warning=ExperimentalWarning test/fuzz/api.ts --examples $(or $(EXAMPLES),20) --seed $(or $(SEED),1)

attack: setup ## ten minutes of floods, loops, slow readers and replays against a farm that serves: which bar holds
	@node test/attack/attack.ts

matrix: setup ## a machine boots through five MTUs, directly and behind routers that tell nothing, by BIOS and by UEFI, in ten minutes
	@node test/matrix/matrix.ts

life: image ## two farms made, changed, deleted and made again while their machines read, with Helm's upgrade and five quiet minutes
	@QUIET_SECONDS=300 npm run --silent test -- test/integration/farm-deletion.test.ts --selectProjects integration -t '24 orders'
	@QUIET_SECONDS=300 npm run --silent test -- test/e2e/life.test.ts --selectProjects e2e --runInBand

big-disk: image ## a qcow2 of 4 GiB is uploaded through kubectl and imported in a server's pod, and a machine boots it
	@BIG_DISK=1 npm run --silent test -- test/e2e/farm.test.ts --selectProjects e2e --runInBand -t 'operator is installed|second server joins|network card boots|a qcow2 of|machine as it was'

nas: image ## a NAS of the cluster as stores, by NFS and by a claim of a CSI driver: machines boot from each, and it hangs under them
	@NAS=1 npm run --silent test -- test/e2e/farm.test.ts --selectProjects e2e --runInBand -t 'operator is installed|second server joins|network card boots|NAS|machine as it was'

test-gitops: setup ## a farm under the real Argo CD and Flux, built once in about 25 minutes; not a part of `make test`
	@test/gitops/build.sh controllers
	@npm run --silent test -- --selectProjects gitops --runInBand

demo: $(if $(IMAGE),setup,image) ## a farm on a cluster of its own: machines boot, a server is killed, the database goes; left running
	@node test/demo/demo.ts

dev: $(if $(CLUSTER),setup,image) ## the operator of the working tree in a cluster, started anew at each change of src
	@node test/demo/dev.ts

demo-down: ## ends it and removes every trace
	@node test/demo/down.ts
