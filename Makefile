# What a developer runs. Everything beyond building needs root: tests, demo and benchmark make network
# namespaces.

CARGO ?= cargo
PACKAGES = frr bird2 stayrtr bgpq4 iproute2 iputils-ping util-linux procps python3-minimal nftables \
	docker.io debootstrap bzip2 qemu-system-x86 e2fsprogs shellcheck
# Where cargo puts the release build.
TARGET_DIR = $(shell $(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
BIN_DIR = $(TARGET_DIR)/release

.PHONY: all build setup demo demo-edge test bench

all: build

# The peers' programs, from the distribution. Their services stay off: the tests start what they need.
setup:
	@missing=""; for package in $(PACKAGES); do \
	    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "installing:$$missing"; \
	    fresh=""; [ -e /usr/sbin/policy-rc.d ] || { fresh=1; printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }; \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; status=$$?; \
	    [ -z "$$fresh" ] || rm -f /usr/sbin/policy-rc.d; \
	    exit $$status; \
	fi

build:
	$(CARGO) build --release --locked --bins

demo: setup build
	"$(BIN_DIR)/siskin-demo" $(ARGS)

demo-edge: setup build
	"$(BIN_DIR)/siskin-demo-edge" $(ARGS)

# The daemon that the black-box tests start is the release build, the one that users run.
test: setup build
	SISKIN_BIN_DIR="$(BIN_DIR)" $(CARGO) test --locked --workspace

bench: setup build
	"$(BIN_DIR)/siskin-bench" $(ARGS)
