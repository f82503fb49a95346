# Every target is one readable command; `make help` lists them.
SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
LDFLAGS := -s -w -X main.version=$(VERSION)

# No -trimpath and no tags: either would compile the Temporal server a second
# time, once for the tests and once for the command.

.DEFAULT_GOAL := help
.PHONY: help build test unit race demo demo-s3 packages soak bench lint golden app histories screenshots fuzz clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/lightfast and bin/lightfast-worker, on a Mac bin/photokit-helper too (cold: about 8 minutes on 2 cores, the Temporal server above all)
	@echo "building bin/lightfast: seconds when warm, about 8 minutes on 2 cores when nothing is cached"
	@go build -ldflags '$(LDFLAGS)' -o bin/lightfast ./starter
	@go build -ldflags '$(LDFLAGS)' -o bin/lightfast-worker ./worker
	@test "$$(go env GOOS)" != darwin || CGO_ENABLED=0 go build -ldflags '-s -w' -o bin/photokit-helper ./photos/photokit/photokit-helper

test: packages lint unit race ## everything that must pass (S3 servers are built once: about 10 minutes cold)

unit: ## all tests, in real processes and against real S3 servers
	go test -timeout 60m ./...

# What is concurrent and links no server: a race build of that would be a cold one.
race: ## the race detector over stores, budget, catalog, activities and workflows
	go test -race -short -timeout 30m ./activities ./catalog ./internal/budget ./internal/ratelimit ./internal/supervise ./internal/spool ./internal/window ./manifest ./objectstore/dir ./photos ./photos/folder ./photos/photokit ./workflows

demo: build ## make a Photos library, back it up, kill that half way, go on, restore, compare every byte (half a minute)
	go run ./internal/demo

demo-s3: build ## the same into a real S3 server (MinIO is built once: about 10 minutes cold)
	go run ./internal/demo -s3

packages: ## Debian packages that tests use, installed where they are missing
	@{ command -v zstd && command -v jq && command -v exiftool; } >/dev/null || \
	{ apt-get update -q && apt-get install -qy zstd jq libimage-exiftool-perl; } || \
	echo "no zstd, jq or exiftool: the restore recipe of docs/format.md, or what others read in sidecars, is not tried"
	@{ command -v clang && command -v gcc && test -f /usr/include/GNUstep/Foundation/Foundation.h && test -f /usr/include/Block.h; } >/dev/null || \
	{ apt-get update -q && apt-get install -qy --no-install-recommends clang gcc libgnustep-base-dev gnustep-base-runtime libblocksruntime-dev; } || \
	echo "no clang or GNUstep: the tests of photos/photokit will fail, for nothing else tries what reads iCloud originals"

soak: ## the longer proofs: kills of a cluster's worker and of large uploads, 1,000 faults of the network, 1,000 of Photos (an hour; 16 GB of disk)
	go test -tags soak -timeout 150m -run Soak -v ./starter
	go test -tags soak -timeout 60m -run EveryRequest -v ./photos/photokit

bench: build ## what README and docs claim, measured: hours and 60 GB for all of it; one of them: go run ./bench lines
	go run ./bench

lint: ## format, vet, staticcheck, workflowcheck, go.mod, docker-compose.yml, and what runs on a Mac: vet, and the types of all of it
	@test -z "$$(gofmt -l .)" || { gofmt -d . | head -50; exit 1; }
	go mod tidy -diff
	go vet ./...
	go tool -modfile=tools/lint/go.mod staticcheck ./...
	go tool -modfile=tools/lint/go.mod workflowcheck ./workflows/...
	go tool -modfile=tools/lint/go.mod github.com/compose-spec/compose-go/v2/cmd -no-interpolation docker-compose.yml >/dev/null
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet ./internal/atomicfile ./internal/budget ./internal/safename ./internal/spool ./manifest ./objectstore/... ./photos
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build ./photos/folder
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet ./photos/photokit/...
	CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 go vet ./photos/photokit/...
	go run ./internal/cgocheck arm64 ./...
	go run ./internal/cgocheck amd64 ./internal/manners
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build -ldflags '-s -w' -o bin/darwin-arm64/photokit-helper ./photos/photokit/photokit-helper
	CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 go build -ldflags '-s -w' -o bin/darwin-amd64/photokit-helper ./photos/photokit/photokit-helper

golden: ## rewrite golden files; review the diff like code
	go test ./internal/xmp ./manifest ./starter -update

app: ## assemble bin/Lightfast.app for both kinds of Mac; elsewhere without what needs a Mac's cgo, which it says
	@for arch in arm64 amd64; do \
	  CGO_ENABLED=0 GOOS=darwin GOARCH=$$arch go build -ldflags '-s -w' -o bin/darwin-$$arch/photokit-helper ./photos/photokit/photokit-helper || exit 1; \
	  test "$$(go env GOHOSTOS)" = darwin || continue; \
	  CGO_ENABLED=1 GOARCH=$$arch go build -ldflags '$(LDFLAGS)' -o bin/darwin-$$arch/lightfast ./starter || exit 1; \
	  CGO_ENABLED=1 GOARCH=$$arch go build -ldflags '$(LDFLAGS)' -o bin/darwin-$$arch/lightfast-worker ./worker || exit 1; \
	done
	@go run ./internal/app -version '$(VERSION)' bin bin/Lightfast.app

histories: build ## record anew the histories that workflows replay; only for a change that is meant to break open runs
	rm -f workflows/testdata/*.json.gz
	go run ./internal/record

screenshots: build ## pictures of a run in the Temporal UI into bin/screenshots (needs chromium)
	tools/screenshots.sh bin/screenshots

fuzz: ## every fuzz target for half a minute
	@for pkg in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do go test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$pkg || exit 1; done; done

clean: ## remove what was built
	rm -rf bin
