#!/bin/sh
# A virtual machine with DAHDI, without KVM: `hil/dahdi/vm.sh COMMAND` runs a command in it (in the checkout's copy there).
#
# Debian's kernel and its headers are unpacked below build/dahdi (nothing is installed), dahdi-dkms' source is built against them; both stay.
# QEMU boots that kernel with a file system in memory (image.py): no disk, no network, nothing of this machine.  What the command writes to
# build/dahdi/out comes back as an archive over a second serial line.
#
# Time in the machine is its own work: an instruction is 1 ns (-icount), and what it would idle is skipped.  So a host that stands still, or is
# slow, costs nothing in there: a tick of 10 ms is 10,000,000 instructions.  Limits are of that time (GUEST_SECONDS) and of the processor time
# that QEMU may use (CPU_SECONDS), never of the wall's.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/build/dahdi
mkdir -p "$here"
cd "$here"

need() {
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="${missing:-} $package"
    done
    [ -z "${missing:-}" ] || apt-get install -y -q --no-install-recommends $missing >>apt.log 2>&1 || {
        tail -n 3 apt.log >&2; echo "vm: apt-get could not install$missing; the whole output is in $here/apt.log" >&2; exit 2; }
}

kernel() {
    image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image.*\)/\1/p' | head -1)
    headers=$(apt-cache depends linux-headers-amd64 | sed -n 's/.*Depends: \(linux-headers.*\)/\1/p' | head -1)
    kbuild=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-kbuild.*\)/\1/p' | head -1)
    rm -rf debs root src && mkdir debs root
    (cd debs && apt-get download -q "$image" "$headers" "${headers%-amd64}-common" "$kbuild" >/dev/null)
    for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
    release=$(ls root/lib/modules)
    tree=$here/root/usr/src/linux-headers-$release
    sed -i "s,include /usr/src,include $here/root/usr/src," "$tree/Makefile"
    cp -r /usr/src/dahdi-2* src
    make -s -C src include/dahdi/version.h
    make -s -C "$tree" M="$here/src/drivers/dahdi" DAHDI_INCLUDE="$here/src/include" DAHDI_MODULES_EXTRA=" " HOTPLUG_FIRMWARE=yes \
        CONFIG_DAHDI=m CONFIG_DAHDI_DYNAMIC=m CONFIG_DAHDI_DYNAMIC_LOC=m modules >build.log 2>&1 || {
        tail -n 3 build.log >&2; echo "vm: DAHDI did not compile; the whole output is in $here/build.log" >&2; exit 2; }
    mkdir -p modules
    for module in dahdi dahdi_dynamic dahdi_dynamic_loc; do
        strip --strip-debug -o "modules/$module.ko" "src/drivers/dahdi/$module.ko"
    done
    # Unpacking the kernel would be the longest part of its start here; QEMU takes it plain (PVH).
    python3 -c 'import lzma, sys
octets = open(sys.argv[1], "rb").read()
sys.stdout.buffer.write(lzma.LZMADecompressor().decompress(octets[octets.index(b"\xfd7zXZ\0"):]))' "root/boot/vmlinuz-$release" >vmlinux.new
    strip -g vmlinux.new
    rm -rf debs root src
    mv vmlinux.new vmlinux
}

need qemu-system-x86 busybox-static dahdi-dkms dahdi libpri-dev kmod iproute2
[ -s vmlinux ] || kernel
cc -O2 -Wall -Wextra -I /usr/src/dahdi-2*/include -o far "$root/hil/dahdi/far.c" -lpri -lm
(cd "$root" && build/venv/bin/python -m hil.dahdi.image build/dahdi/image.cpio)
[ $# -gt 0 ] || exit 0
rm -rf out out.tar
code=0
(
    ulimit -t "${CPU_SECONDS:-1500}"
    exec qemu-system-x86_64 -accel tcg,thread=single -icount shift=0,sleep=off -seed 1 -M q35,hpet=off -nodefaults -no-reboot -display none \
        -cpu qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm,+rdrand -m "${VM_MB:-2048}" -smp 1 -kernel vmlinux -initrd image.cpio \
        -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable vm_run=timeout%${GUEST_SECONDS:-600}%$(echo "$*" | tr ' ' '%')" \
        -serial stdio -serial file:out.tar </dev/null
) || code=$?
[ "$code" = 0 ] || { echo "vm: QEMU ended with $code" >&2; exit 3; }
tar xf out.tar 2>/dev/null || { echo "vm: the machine ended without its results; its console is above" >&2; exit 3; }
echo "vm: the machine ran for $(cat out/uptime) s of its time"
exit "$(cat out/status)"
