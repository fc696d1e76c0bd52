# Build, test and measure the tracker. `make help` lists what there is.
#
# Tools run by pinned version through `go run`, so go.mod holds only what the
# tracker links.

GO          ?= go
STATICCHECK  = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0
NFPM         = $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
GOFUMPT      = $(GO) run mvdan.cc/gofumpt@v0.9.2

PGO      = $(if $(wildcard perf/cpu.pgo),-pgo=perf/cpu.pgo)
FUZZTIME ?= 20s

# What -v says. Tags are named v1.2.3; between two, git counts the commits. Where
# there is no tag or no git, the next release is what the source says it is.
NEXT    := $(shell sed -n 's/^const nextRelease = "\(.*\)"/\1/p' version.go)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
DIRTY   := $(if $(COMMIT),$(if $(shell git status --porcelain --untracked-files=no 2>/dev/null),-dirty))
TAGGED  := $(patsubst v%,%,$(shell git describe --tags --match 'v[0-9]*' --abbrev=12 2>/dev/null))
VERSION ?= $(if $(TAGGED),$(TAGGED),$(NEXT)-dev$(if $(COMMIT),-g$(COMMIT)))$(DIRTY)
LDFLAGS  = -s -X main.version=$(VERSION) -X main.commit=$(COMMIT)$(DIRTY)

RELEASE  = GO='$(GO)' VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' SOURCE_DATE_EPOCH='$(EPOCH)'
EPOCH   := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)

build: ## build ./tracker, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' $(PGO) -o tracker .

test: build ## all tests, with real clients; needs root and what .ci/run installs
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...
	$(GO) test -timeout 10m -run '$(WHOLE)' .
	$(GO) test -tags router -timeout 10m ./loop
	$(MAKE) test-386
	$(MAKE) test-packages
	$(GO) test -tags trackercheck -timeout 10m -run 'Model|Step|Clock|Fuzz|Load|Snapshot' ./store
	$(GO) test -run '^$$' -bench . -benchtime 1x ./... >/dev/null

# What a whole process takes in memory. The race detector takes more than that, so
# with it these look at everything else.
WHOLE = Ceiling|Cgroup|Upgrades|TooLarge

# What has no need of a whole system, where an int has 32 bits and where the bytes
# of a number come in the other order.
NARROW = ./proto ./store ./stats ./config ./whitelist ./loop/guard

test-386: ## tests of arithmetic and alignment with 32 bits, on this machine's CPU
	GOARCH=386 $(GO) test -timeout 10m $(NARROW) ./handover ./loop

test-qemu: ## released binaries under qemu, for each CPU; and tests of big endian MIPS; needs qemu-user-static
	$(GO) test -run TestCPUs -v -timeout 30m ./e2e -cpus all
	GOARCH=mips GOMIPS=softfloat $(GO) test -exec qemu-mips-static -timeout 20m $(NARROW) -skip '$(NOTQEMU)'

# qemu has no memory that can be handed on; see goesByPage in package store.
NOTQEMU = Adopt|Shared|WhoShares|MemoryLayout

check: lint test cross ## test, linters, and builds for small machines

lint: ## formatting, vet, staticcheck, go.mod
	@out=$$($(GOFUMPT) -l .); [ -z "$$out" ] || { echo "not gofumpted: $$out" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags router ./...
	$(STATICCHECK) ./...
	$(GO) mod tidy -diff

# linux unless said otherwise; GOMIPS=softfloat is what routers have.
CROSS = linux/mipsle linux/mips linux/arm linux/arm64 linux/386 linux/riscv64 freebsd/amd64 openbsd/amd64 darwin/arm64

cross: ## build for every supported system and CPU
	@for t in $(CROSS); do \
		GOOS=$${t%/*} GOARCH=$${t#*/} GOMIPS=softfloat GOARM=6 CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null . || exit 1; \
		echo "$$t builds"; \
	done
	GOOS=linux GOARCH=mipsle GOMIPS=softfloat CGO_ENABLED=0 $(GO) build -trimpath -tags router -o /dev/null .

release: ## static binaries for every system and CPU into dist/release, with checksums
	$(RELEASE) release/build $(TARGETS)

release-check: ## build the release twice, in two folders, and compare; TARGETS='linux-mipsle ...' for some
	$(RELEASE) release/check $(TARGETS)

release-table: ## how large the binaries of the release are, and what they take when idle; needs xz, qemu-user-static
	@VERSION='$(VERSION)' release/table

licences: ## write THIRD_PARTY.txt, which is passed on with every binary
	release/licences >THIRD_PARTY.txt

MANUALS = packaging/man/bttracker.8 packaging/man/bttracker.conf.5

man: ## write the manual pages from the tables of flags and keys, and check them; needs mandoc and man
	$(GO) test ./config -update
	@! mandoc -T lint $(MANUALS) | grep -v 'referenced manual not found: Xr bttracker'
	@for f in $(MANUALS); do [ -z "$$(man --warnings -E UTF-8 -l -Tutf8 -Z $$f 2>&1 >/dev/null | tee /dev/stderr)" ] || exit 1; done

DEB_TARGETS ?= linux-amd64

deb: ## package for Debian into dist/deb; DEB_TARGETS='linux-arm64 ...' for other CPUs
	$(MAKE) release TARGETS='$(DEB_TARGETS)'
	$(RELEASE) NFPM='$(NFPM)' packaging/debian/build $(DEB_TARGETS)

LINTIAN = lintian --fail-on error,warning --allow-root dist/deb/*.deb

lint-deb: ## build a package for Debian, and have lintian look at it
	rm -f dist/deb/*.deb
	$(MAKE) deb
	$(LINTIAN)

test-deb: ## lint a package, then install, use, upgrade and purge it under systemd; needs root, lintian, debootstrap
	rm -f dist/deb/*.deb
	$(MAKE) deb DEB_TARGETS=linux-amd64
	$(MAKE) deb DEB_TARGETS=linux-amd64 VERSION=9999
	$(LINTIAN)
	packaging/debian/test dist/deb/bttracker_[!9]*.deb dist/deb/bttracker_9999-1_amd64.deb

test-packages: build ## scripts and pages of the packages: shellcheck, mandoc, and OpenWrt's init script under busybox
	shellcheck packaging/arch/PKGBUILD packaging/debian/build packaging/debian/test packaging/debian/bttracker.* packaging/openwrt/files/bttracker.init packaging/openwrt/standin/* packaging/machine
	@! mandoc -T lint $(MANUALS) | grep -v 'referenced manual not found: Xr bttracker'
	packaging/openwrt/test

fuzz: ## every fuzz target for FUZZTIME each (20s; 10000000x for as many runs)
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$f); do \
			echo "$$(dirname $$f) $$t"; \
			$(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) $$(dirname $$f) || exit 1; \
		done; \
	done

kills: ## kill 200 trackers while they write snapshots, and load what is left
	$(GO) test -run SnapshotKill -v -timeout 20m -snapshot-kills 200 .

upgrades: ## replace a tracker of a million peers 20 times under load, and count what is not answered; as root
	$(GO) test -run Upgrades -v -timeout 20m -upgrades 20 .

memory: build ## bytes per torrent and peer against the budgets, beside opentracker; needs root for IPv6
	$(GO) run ./perf/memory -tracker ./tracker -peer opentracker

compare: build ## CPU per request beside other trackers and the floor of the system; as root, what is missing is installed
	$(GO) run ./perf/compare -listed -json perf/compare.json -plot perf/compare.svg

router-sim: build ## a minute of UDP and of HTTP with 5 % of a core and 24 MB, beside opentracker; needs root
	$(GO) run ./perf/routersim -tracker ./tracker -peer opentracker

torture: build ## what hostile clients do, and who notices, beside opentracker; ten minutes
	$(GO) run ./perf/torture -tracker ./tracker -peer opentracker

soak: build ## an hour at half load with churn, list reloads and snapshots: does it grow?
	$(GO) run ./perf/soak -tracker ./tracker

AXE = axe-core@4.10.3

cluster: build ## three trackers with 200,000 peers: ten minutes of churn, kills and a minute's partition; speed of one that shares
	$(GO) test ./e2e -run 'TestClusterChurn|TestClusterSpeed' -v -count 1 -timeout 40m -cluster-churn 200s -cluster-peers 200000 -cluster-rate 2000 -cluster-cut 60s -cluster-agree 5m -cluster-speed 10s

axe: ## have axe-core check the page of statistics, light and dark; fetched with npm
	npm install --silent --no-save --prefix dist/axe $(AXE)
	$(GO) test -run '^TestPage$$' -count 1 -v ./e2e -axe ../dist/axe/node_modules/axe-core/axe.min.js

profile: ## where the CPU time goes under load; writes perf/cpu.pgo, which build uses
	CGO_ENABLED=0 $(GO) build -trimpath -tags profile -o dist/tracker-profile .
	$(GO) run ./perf/profile -tracker dist/tracker-profile -o perf/cpu.pgo
	$(GO) tool pprof -top -nodecount 40 perf/cpu.pgo

bench: ## the benchmarks beside the code
	$(GO) test -run '^$$' -bench . ./...

clean: ## remove what was built
	rm -rf tracker dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

.PHONY: build man deb lint-deb test-deb test-packages release-table test-386 test-qemu release release-check licences test check lint cross fuzz kills upgrades memory compare router-sim torture soak cluster axe profile bench clean help
