# Every target is one readable command; `make help` lists them.
SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
LDFLAGS := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/lightfast and bin/lightfast-worker (cold: about 8 minutes on 2 cores, the Temporal server above all)
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/lightfast ./starter
