# lv: commands are cmd/NAME.c or cmd/NAME/main.c; what a command links is one PKG_ line.
# Variants differ by BUILD and flags only: make, make asan, make fuzz.

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
VERSION  = 0.1.0

CC      ?= cc
OPT     ?= -O2 -g
HARDEN  ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -Wformat \
           -Werror=format-security
WARN     = -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
           -Wwrite-strings -Wvla -Wno-missing-field-initializers
ifdef CI
WARN    += -Werror
endif
DEFS     = -D_GNU_SOURCE -DLV_VERSION='"$(VERSION)"'
LDHARDEN ?= -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
ALLFLAGS = -std=c11 -Ilib $(DEFS) $(WARN) $(OPT) $(HARDEN) $(SAN) $(CPPFLAGS) $(CFLAGS)
ALLLD    = $(OPT) $(LDHARDEN) $(SAN) $(LDFLAGS)

# What each command links beside lib/: pkg-config names, then plain libraries.
PKG              = popt jansson
LIBS_lv-auth     = -lev
PKG_lv-notify    = hiredis libpq
PKG_lv-hook      = libcurl libcrypto
LIBS_lv-hook     = -lev
PKG_lv-auth      = openssl libpq libcurl libjwt
PKG_lv-s3push    = libcurl expat libcrypto
PKG_test_sigv4   = libcrypto
PKG_test_hook    = libcrypto
PKG_test_viewlink = libcrypto
PKG_fuzz_viewlink = libcrypto
PKG_fuzz_hook    = libcrypto
PKG_test_s3      = expat libcrypto
PKG_fuzz_s3      = expat
PKG_lv-transcode = libavformat libavcodec libavfilter libavutil libswscale libswresample libseccomp
LIBS_lv-transcode = -lm
LIBS_test_ladder  = -lm
PKG_test_ticket   = libjwt libcrypto
PKG_test_room     = libjwt libcrypto
PKG_fuzz_ticket   = libjwt libcrypto
PKG_fuzz_chat     = libjwt libcrypto
PKG_lv-remux     = libavformat libavcodec libavutil libseccomp
PKG_lv-vod       = libseccomp libcurl expat libcrypto
LIBS_lv-vod      = -lm -lev
PKG_lv-serve     = libmicrohttpd zlib libcrypto libcurl
LIBS_lv-serve    = -lev -lm
LIBS_lv-s3push   = -lev
PKG_lv-chatd     = libwebsockets hiredis libpq libjwt libcrypto
LIBS_lv-chatd    = -lev
PKG_lv-chat      = libwebsockets libcrypto libjwt
LIBS_lv-chat     = -lev
LIBS_rtmp-accept = -lev
LIBS_lv-stat      = -lev

# Small static programs that rtmp-accept starts; they live in libexec/lv.  rtmp-tls shares its pages of
# OpenSSL with its siblings.
EXEC      = rtmp-session rtmp-keeper rtmp-tls
SRC_rtmp-session = cmd/rtmp-accept/session
SRC_rtmp-keeper  = $(addprefix cmd/rtmp-accept/,keeper note program media media_headers media_health)
LIBS_rtmp-keeper = -ljansson
SRC_rtmp-tls     = cmd/rtmp-accept/tls
LIBS_rtmp-tls    = -lssl -lcrypto
STATIC_rtmp-tls  = -pie

CMDS := $(sort $(patsubst cmd/%.c,%,$(wildcard cmd/*.c)) \
                $(patsubst cmd/%/main.c,%,$(wildcard cmd/*/main.c)))
EXECS := $(foreach e,$(EXEC),$(if $(wildcard $(firstword $(SRC_$e)).c),$e))
LIBSRC := $(wildcard lib/*.c)
LIBOBJ := $(LIBSRC:%.c=$(BUILD)/%.o)
LIB    := $(BUILD)/liblv.a
BINS   := $(CMDS:%=$(BUILD)/bin/%)
LEXECS := $(EXECS:%=$(BUILD)/libexec/lv/%)
UNIT   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH  := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
# A command that has grown into a folder: its other sources, except those of the static programs.
FOLDER = $(filter-out $(foreach e,$(EXEC),$(SRC_$e:%=%.c)),$(wildcard cmd/$1/*.c))
OBJS   = $(patsubst %.c,$(BUILD)/%.o,$(or $(wildcard cmd/$1.c),$(call FOLDER,$1)))

# make V=1 shows the commands themselves.
ifndef V
.SILENT:
endif
SAY = @echo "  $1 $@";

all: $(BINS) $(LEXECS) share

.SECONDEXPANSION:
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call SAY,CC)$(CC) $(ALLFLAGS) -fPIE $(INC) $(shell pkg-config --cflags $(PKG)) -MMD -MP -c -o $@ $<

# What some sources include beside.
$(BUILD)/lib/db.o: INC = $(shell pkg-config --cflags libpq)

# Texts in languages of others, as strings of C: what Redis runs, and the migrations, in order, as an array.
QUOTE = sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/'
$(BUILD)/cmd/lv-chatd/remote.o: INC = -I$(BUILD)/cmd/lv-chatd
$(BUILD)/cmd/lv-chatd/remote.o: $(patsubst %,$(BUILD)/%.inc,$(wildcard cmd/lv-chatd/*.lua))
$(BUILD)/%.lua.inc: %.lua
	@mkdir -p $(@D)
	$(QUOTE) $< >$@
$(BUILD)/cmd/lv-auth/schema.o: INC = -I$(BUILD)/cmd/lv-auth
$(BUILD)/cmd/lv-auth/schema.o: $(BUILD)/cmd/lv-auth/schema.inc
$(BUILD)/cmd/lv-auth/schema.inc: $(wildcard cmd/lv-auth/schema/*.sql)
	@mkdir -p $(@D)
	for f in $^; do echo '('; $(QUOTE) $$f; echo '),'; done >$@

$(LIB): $(LIBOBJ)
	@rm -f $@
	$(call SAY,AR)ar rcs $@ $^

$(BUILD)/bin/%: $$(call OBJS,$$*) $(LIB)
	@mkdir -p $(@D)
	$(call SAY,LD)$(CC) $(ALLLD) -pie -o $@ $^ $(shell pkg-config --libs $(PKG) $(PKG_$*)) $(LIBS_$*)

ifdef SAN
STATIC = -pie
else
STATIC = -static-pie
endif
$(BUILD)/libexec/lv/%: $$(addprefix $(BUILD)/,$$(addsuffix .o,$$(SRC_$$*))) $(LIB)
	@mkdir -p $(@D)
	$(call SAY,LD)$(CC) $(ALLLD) $(or $(STATIC_$*),$(STATIC)) -Wl,--gc-sections -o $@ $^ $(LIBS_$*)

# The player: our files and hls.js, fetched once by npm where it is there (the page plays without).
PLAYER := $(wildcard cmd/lv-serve/player/*)
share: $(if $(PLAYER),$(BUILD)/share/lv/player/.done)
$(BUILD)/share/lv/player/.done: $(PLAYER)
	@mkdir -p $(@D)
	cp $(filter-out %.json,$(PLAYER)) $(@D)/
	if command -v npm >/dev/null; then \
		mkdir -p $(BUILD)/npm && cp cmd/lv-serve/player/package*.json $(BUILD)/npm/ && \
		(cd $(BUILD)/npm && npm ci --silent --ignore-scripts --omit=dev --no-audit --no-fund) && \
		cp $(BUILD)/npm/node_modules/hls.js/dist/hls.min.js $(@D)/ && \
		cp $(BUILD)/npm/node_modules/hls.js/LICENSE $(@D)/hls.LICENSE.txt; \
	fi || echo "  hls.js could not be fetched: the page plays where the browser knows HLS"
	touch $@

# Tests.
$(BUILD)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(call SAY,CC)$(CC) $(ALLFLAGS) -Itests/unit -MMD -MP $(ALLLD) -o $@ $< $(LIB) \
		$(shell pkg-config --cflags --libs cmocka $(PKG) $(PKG_$*)) $(LIBS_$*)

$(BUILD)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(call SAY,CC)$(CC) $(ALLFLAGS) -MMD -MP $(ALLLD) -o $@ $< $(LIB) $(LIBS_$*) -lm

$(BUILD)/fuzz/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	$(call SAY,CC)$(CC) $(ALLFLAGS) -MMD -MP -fsanitize=fuzzer $(ALLLD) -o $@ $< $(LIB) \
		$(shell pkg-config --libs $(PKG) $(PKG_$*))

# Judges of playlists and of a whole stream, and a peer, for the tests, where npm is there.
$(BUILD)/%/.done: $$(wildcard tests/lib/$$*/*)
	@mkdir -p $(@D)
	cp $^ $(@D)/
	if command -v npm >/dev/null; then cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund; fi
	touch $@

# rtmp-accept and its keeper as another version with other records, for the test of an upgrade.
OTHER = $(BUILD)/other
$(OTHER)/bin/rtmp-accept: $(wildcard cmd/rtmp-accept/*.[ch]) $(LIB)
	@mkdir -p $(@D) $(OTHER)/libexec/lv $(OTHER)/cmd/rtmp-accept
	cp $(wildcard cmd/rtmp-accept/*.[ch]) $(OTHER)/cmd/rtmp-accept/
	sed -i -e 's/^#define KEEP_VERSION .*/#define KEEP_VERSION 999/' -e '/^_Static_assert/,/;$$/d' \
		-e 's/^\tuint32_t \(resumed\|kbps\|max_kbps\|ok\)[,;]/\tint64_t other;\n&/' $(OTHER)/cmd/rtmp-accept/ipc.h
	$(call SAY,LD)$(CC) $(ALLFLAGS) -fPIE $(ALLLD) -pie -o $(OTHER)/libexec/lv/rtmp-keeper \
		$(SRC_rtmp-keeper:%=$(OTHER)/%.c) $(LIB) $(LIBS_rtmp-keeper)
	$(CC) $(ALLFLAGS) -fPIE $(ALLLD) -pie -o $@ $(addprefix $(OTHER)/,$(call FOLDER,rtmp-accept)) $(LIB) \
		$(shell pkg-config --libs $(PKG)) $(LIBS_rtmp-accept)

tools: $(BENCH) $(OTHER)/bin/rtmp-accept $(patsubst %,$(BUILD)/%/.done,hls-judge shaka-judge nms-peer)
unit: $(UNIT)
fuzz-bins: $(FUZZ)

check: all unit tools
	tests/check

SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan:
	$(MAKE) BUILD=build-asan SAN="$(SANFLAGS)" OPT="-O1 -g" HARDEN= all unit tools

fuzz:
	$(MAKE) BUILD=build-fuzz CC=clang SAN="$(SANFLAGS) -fsanitize=fuzzer-no-link" OPT="-O1 -g" HARDEN= fuzz-bins

bench: all tools
	tests/bench/run

lint:
	tests/lint

# Everything goes to its place under PREFIX; bin finds libexec/lv and share/lv beside itself.
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lv
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin/
	$(if $(LEXECS),install -m 755 $(LEXECS) $(DESTDIR)$(PREFIX)/libexec/lv/)
	for m in man/*.[1-8]; do \
		install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/} || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/lv/examples
	install -m 644 completions/bash/* $(DESTDIR)$(PREFIX)/share/bash-completion/completions/
	install -m 644 completions/zsh/* $(DESTDIR)$(PREFIX)/share/zsh/site-functions/
	cp -R examples/. $(DESTDIR)$(PREFIX)/share/lv/examples/
	$(MAKE) -s install-systemd
	if [ -d $(BUILD)/share/lv/player ]; then \
		mkdir -p $(DESTDIR)$(PREFIX)/share/lv && \
		cp -R $(BUILD)/share/lv/player $(DESTDIR)$(PREFIX)/share/lv/; fi

# The units of examples/systemd, with their commands where PREFIX puts them.
SYSTEMD_SCRIPTS = lv-hand-over lv-stream lv-record lv-expire lv-alert lv-events
# polkit 122 looks for rules in /usr/share and /etc alone, and reads one as soon as it is closed, once: it has to
# come there by its name with the mode that it keeps.
POLKIT = $(if $(filter /usr/local,$(PREFIX)),/etc,$(PREFIX)/share)/polkit-1/rules.d
ITS_PLACES = sed -E 's,/usr/(bin/rtmp-|bin/lv-|libexec/lv/|share/lv/),$(PREFIX)/\1,g'
install-systemd:
	cd examples/systemd && for u in *.target *.slice *.socket *.service *.timer *.service.d/*.conf; do \
		install -d $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(dirname $$u) && \
		$(ITS_PLACES) $$u >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$u || exit 1; done
	$(ITS_PLACES) examples/systemd/joints/joints.conf >$(DESTDIR)$(PREFIX)/share/lv/examples/systemd/joints/joints.conf
	cd examples/systemd && install -m 755 $(SYSTEMD_SCRIPTS) $(DESTDIR)$(PREFIX)/libexec/lv/
	install -D -m 644 examples/systemd/lv.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/lv.conf
	install -D -m 644 examples/systemd/lv.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/lv.conf
	install -D -m 644 examples/systemd/lv.rules $(DESTDIR)$(POLKIT)/50-lv.rules.new
	mv $(DESTDIR)$(POLKIT)/50-lv.rules.new $(DESTDIR)$(POLKIT)/50-lv.rules

# The Debian package, of this build, into $(BUILD)/deb; needs debhelper.
DEB = $(BUILD)/deb/lv-live-$(VERSION)
deb: all
	rm -rf $(BUILD)/deb
	mkdir -p $(DEB)
	cp -a LICENSE CHANGELOG.md README.md Makefile pipelines.sh cmd completions examples lib man $(DEB)/
	cp -a examples/debian $(DEB)/debian
	cd $(DEB) && BUILD=$(abspath $(BUILD)) dpkg-buildpackage -b -uc -us >../build.log 2>&1 || { tail -n 40 ../build.log; exit 1; }
	rm -rf $(DEB)
	ls $(BUILD)/deb/*.deb

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)
.PHONY: all share tools unit fuzz-bins check asan fuzz bench lint install install-systemd deb clean
.PRECIOUS: $(BUILD)/%.o
.DELETE_ON_ERROR:
