#!/bin/sh
# Set up a Debian 12 machine for `make run`, `make test` and `make conformance`: Debian packages,
# virtual environment, native modules, prompts, far ends.  Each step is skipped
# when its inputs did not change.  sudo is used for apt only.
# A signal ends what it started, compilers included (apt excepted: dpkg is not to be broken off).
#   setup.sh run|test|conformance (each all that the one before has, and more)
set -eu
cd "$(dirname "$0")/../.."
purpose=${1:-run}
venv=build/venv
mkdir -p build/stamps

fail() { echo "setup: $*" >&2; exit 1; }

# Run a command in a process group of its own, so that all of it can be ended.
group=""
whole() {
    code=0
    setsid "$@" &
    group=$!
    wait "$group" || code=$?
    group=""
    return "$code"
}
stop() {
    trap : INT TERM HUP
    if [ -n "$group" ]; then
        kill -s TERM -- "-$group" 2>/dev/null || kill -s TERM "$group" 2>/dev/null || true
        (sleep 2; kill -s KILL -- "-$group") >/dev/null 2>&1 3>&- &
        guard=$!
        wait "$group" || true
        left=5
        while [ "$left" -gt 0 ] && kill -s 0 -- "-$group" 2>/dev/null; do sleep 0.1; left=$((left - 1)); done
        kill -s KILL -- "-$group" 2>/dev/null || true
        kill "$guard" 2>/dev/null || true
    fi
    echo "setup: stopped before it was done; the next start goes on from here." >&3
    exit "$1"
}
exec 3>&2
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

names() { sed -e 's/#.*//' "$@" | tr -s ' \n' '\n' | sed '/^$/d'; }

lists=buildroot/host/packages.txt
case $purpose in test | conformance) lists="$lists buildroot/host/packages-test.txt" ;; esac
[ "$purpose" = conformance ] && lists="$lists buildroot/host/packages-conformance.txt"
# Where there is a Node.js already (npm's own or Debian's), keep it.
node=""; command -v npm >/dev/null 2>&1 || node="nodejs npm"
missing=""
for package in $(names $lists) $node; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "setup: installing Debian packages:$missing"
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "these Debian packages are missing:$missing. Install them as root (apt-get install$missing), or install sudo, and start again."
        as_root=sudo
    fi
    log=build/apt.log
    { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >$log 2>&1 \
        || { tail -n 5 $log >&2; fail "apt-get could not install:$missing. The whole output is in $log; mend it (network, sources) and start again."; }
fi

python=/usr/bin/python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than 3.11; Debian 12 or newer is needed."
[ -x $venv/bin/python ] || { echo "setup: making the virtual environment"; rm -f build/stamps/lock; whole "$python" -m venv $venv; }
if ! cmp -s requirements.lock build/stamps/lock; then
    echo "setup: installing Python packages (locked, with hashes)"
    whole $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >build/pip.log 2>&1 \
        || { tail -n 5 build/pip.log >&2; fail "pip could not install the locked packages; the output is in build/pip.log."; }
    cp requirements.lock build/stamps/lock
fi

# setuptools compares times itself, but asking it costs seconds: ask only when a source is newer.
newest=$(find setup.py dsp drivers firmware hil \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h' -o -name setup.py \) -newer build/stamps/native 2>/dev/null | head -n 1 || true)
if [ ! -e build/stamps/native ] || [ -n "$newest" ]; then
    echo "setup: compiling the native modules (some minutes the first time; output in build/native.log)"
    whole $venv/bin/python setup.py -q build_ext --inplace --parallel "$(nproc)" >build/native.log 2>&1 \
        || { grep -E 'error|Error' build/native.log | head -n 5 >&2; fail "a native module did not compile; the output is in build/native.log."; }
    touch build/stamps/native
fi
# The browser phone's library: locked, with hashes, bundled into one file that the pages serve.
if ! cat webui/phone/package-lock.json webui/phone/jssip-entry.js | cmp -s - build/stamps/jssip; then
    echo "setup: bundling the library of the browser phone"
    (cd webui/phone && whole npm ci --no-audit --no-fund --ignore-scripts) >build/npm.log 2>&1 \
        && whole webui/phone/node_modules/.bin/esbuild webui/phone/jssip-entry.js --bundle --format=esm --minify --legal-comments=inline --outfile=build/webui/jssip.js >>build/npm.log 2>&1 \
        || { tail -n 5 build/npm.log >&2; fail "the browser phone could not be bundled; the output is in build/npm.log."; }
    cat webui/phone/package-lock.json webui/phone/jssip-entry.js >build/stamps/jssip
fi
whole make -s -C hil >build/hil.log 2>&1 || { tail -n 5 build/hil.log >&2; fail "the far ends in hil/ did not compile; the output is in build/hil.log."; }
whole $venv/bin/python buildroot/prompts/generate.py build/prompts
