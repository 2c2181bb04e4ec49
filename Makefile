# SPDX-License-Identifier: Apache-2.0
# The commands of this repository. The work is done by CMake (see CMakePresets.json) and by scripts/.
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR := $(PREFIX)/bin
MANDIR := $(PREFIX)/share/man
DOCDIR := $(PREFIX)/share/doc/culvert
UNITDIR := $(PREFIX)/lib/systemd/system
INSTALL ?= install
RELEASE := build/release
PAGES := culvert.1 culvert-map.1 culvert-open.1 culvert-serve.1
UNITS := culvert@.service culvert-serve.service

.PHONY: all install uninstall setup demo test test-full test-next bench format check clean help

all: ## build build/release/culvert
	@scripts/build release culvert

install: ## install program, man page, systemd unit, documents, licence (DESTDIR, PREFIX)
	@test -x $(RELEASE)/culvert || scripts/build release culvert
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(DOCDIR)"
	$(INSTALL) -m 755 $(RELEASE)/culvert "$(DESTDIR)$(BINDIR)/culvert"
	$(INSTALL) -m 644 $(PAGES:%=docs/%) "$(DESTDIR)$(MANDIR)/man1/"
	for unit in $(UNITS); do \
	  sed 's|@bindir@|$(BINDIR)|g' systemd/$$unit >"$(DESTDIR)$(UNITDIR)/$$unit" && \
	  chmod 644 "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; done
	$(INSTALL) -m 644 README.md LICENSE docs/options.md docs/rules.md "$(DESTDIR)$(DOCDIR)/"

uninstall: ## remove what install put there
	rm -f "$(DESTDIR)$(BINDIR)/culvert"
	for page in $(PAGES); do rm -f "$(DESTDIR)$(MANDIR)/man1/$$page"; done
	for unit in $(UNITS); do rm -f "$(DESTDIR)$(UNITDIR)/$$unit"; done
	rm -rf "$(DESTDIR)$(DOCDIR)"

setup: ## install the packages that building and testing need (Debian 12, 13)
	@scripts/setup build demo test

demo: ## set up, build, and run a real query through a real tunnel, step by step
	@scripts/setup build demo
	@scripts/build release culvert
	@scripts/demo

test: ## set up, build, and run all tests (about 15 minutes on two cores)
	@scripts/setup build demo test
	@scripts/test_all

test-full: ## the same, then the long products: every combination, 64 MiB each
	@scripts/setup build demo test
	@scripts/test_all --full

test-next: ## with the Debian after 12: its OpenSSH, and a build there (root or sudo, 2 GB)
	@scripts/setup build demo test next
	@scripts/build release culvert
	@scripts/test_next

bench: ## compare with ssh, and with relays and proxies, on this machine
	@scripts/setup build demo test bench
	@scripts/build release
	@bench/run.py

format: ## format all C++ files with clang-format 19
	@scripts/check_format --fix

check: ## format, layers, headers and tidy, without running anything
	@scripts/check_format
	@scripts/check_layers
	@scripts/check_headers
	@scripts/check_tidy

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
