#!/bin/sh
# Compile every DSP kernel for aarch64 (NEON by the compiler's own vectorising): says ok or the first error of each.
# Needs: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross, and the C files that a native build leaves in build/cython.
# What runs is not checked: the kernels' constants come from Python, and Debian has no aarch64 Python to be had beside this one.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v aarch64-linux-gnu-gcc >/dev/null || { echo "aarch64-linux-gnu-gcc is missing: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"; exit 1; }
python=$(build/venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
place=build/aarch64 failed=0
# pyconfig.h of this machine: both are little-endian with 64-bit pointers and longs.
mkdir -p "$place/include/aarch64-linux-gnu/$(basename "$python")"
cp "$(dirname "$python")/$(gcc -print-multiarch)/$(basename "$python")/pyconfig.h" "$place/include/aarch64-linux-gnu/$(basename "$python")/" || exit 1
for file in build/cython/dsp/_*.c; do
    name=$(basename "$file" .c)
    if nice -n 19 aarch64-linux-gnu-gcc -O3 -fPIC -ffp-contract=off -w -I"$place/include" -I"$python" -Idsp -Idsp/native -Ibuild/cython/dsp \
            -c "$file" -o "$place/$name.o" 2>"$place/$name.err"; then
        echo "ok $name"
    else
        failed=1
        echo "FAILED $name: $(grep -m1 error "$place/$name.err")"
    fi
done
exit $failed
