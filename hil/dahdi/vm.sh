#!/bin/sh
# A virtual machine with DAHDI, without KVM: `hil/dahdi/vm.sh COMMAND...` runs a command in it, with this machine's files.
#
# Debian's kernel and its headers are unpacked below build/dahdi (nothing is installed), dahdi-dkms' source is built against them, and
# QEMU boots that kernel with an initramfs that mounts this machine's root by 9p, read-only, under an overlay in memory.  What is written to
# build/dahdi/out stays.  About 15 s until the command runs; VM_SECONDS (600) ends it in any case.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/build/dahdi
mkdir -p "$here/out"
cd "$here"

need() {
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="${missing:-} $package"
    done
    [ -z "${missing:-}" ] || apt-get install -y -q --no-install-recommends $missing >>apt.log 2>&1
}

unpack() {
    kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image.*\)/\1/p' | head -1)
    headers=$(apt-cache depends linux-headers-amd64 | sed -n 's/.*Depends: \(linux-headers.*\)/\1/p' | head -1)
    kbuild=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-kbuild.*\)/\1/p' | head -1)
    rm -rf debs root && mkdir debs root
    (cd debs && apt-get download -q "$kernel" "$headers" "${headers%-amd64}-common" "$kbuild" >/dev/null)
    for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
    rm -rf debs
    ls root/lib/modules >release
}

modules() {
    release=$(cat release)
    kernel=$here/root/usr/src/linux-headers-$release
    sed -i "s,include /usr/src,include $here/root/usr/src," "$kernel/Makefile"
    rm -rf src && cp -r /usr/src/dahdi-2* src
    make -s -C src include/dahdi/version.h
    make -s -C "$kernel" M="$here/src/drivers/dahdi" DAHDI_INCLUDE="$here/src/include" DAHDI_MODULES_EXTRA=" " HOTPLUG_FIRMWARE=yes \
        CONFIG_DAHDI=m CONFIG_DAHDI_DYNAMIC=m CONFIG_DAHDI_DYNAMIC_LOC=m modules >build.log 2>&1
    mkdir -p modules
    for module in dahdi dahdi_dynamic dahdi_dynamic_loc; do
        strip --strip-debug -o "modules/$module.ko" "src/drivers/dahdi/$module.ko"
    done
}

initramfs() {
    release=$(cat release)
    rm -rf ird && mkdir -p ird/bin ird/mod ird/proc ird/sys ird/dev ird/new ird/host ird/rw
    cp /bin/busybox ird/bin/busybox
    depmod -b root "$release"
    count=10
    for module in virtio_pci 9p 9pnet_virtio overlay crc-ccitt; do
        modprobe -S "$release" -d "$here/root" --show-depends $module 2>/dev/null | awk '/^insmod/{print $2}'
    done | awk '!seen[$0]++' | while read -r file; do
        count=$((count + 1))
        cp "$file" "ird/mod/$count-$(basename "$file")"
    done
    cat >ird/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /mod/*; do insmod $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host
mount -t tmpfs tmpfs /rw; mkdir /rw/up /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/up,workdir=/rw/work overlay /new
mount --move /dev /new/dev; mount -t proc proc /new/proc; mount -t sysfs sys /new/sys
mkdir -p /new/dev/shm; mount -t tmpfs tmpfs /new/dev/shm; mount -t tmpfs tmpfs /new/run
out=$(sed 's/.*vm_out=\([^ ]*\).*/\1/' /proc/cmdline)
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out /new$out
ip link set lo up
chroot /new /bin/sh "$out/command.sh" >/dev/console 2>&1
echo "$?" >/new$out/status
poweroff -f
INIT
    chmod +x ird/init
    (cd ird && find . | /bin/busybox cpio -o -H newc 2>/dev/null | gzip -1) >ird.gz
}

need qemu-system-x86 busybox-static dahdi-dkms dahdi libpri-dev kmod
[ -s release ] || unpack
[ -s modules/dahdi_dynamic_loc.ko ] || modules
[ -s ird.gz ] || initramfs
[ $# -gt 0 ] || exit 0
{ echo "cd '$root'"; printf "exec"; printf " '%s'" "$@"; echo; } >out/command.sh
rm -f out/status
timeout "${VM_SECONDS:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu "${VM_CPU:-qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm}" -M q35 -nodefaults -no-reboot -m 1536 -smp 2 \
    -kernel "root/boot/vmlinuz-$(cat release)" -initrd ird.gz -append "console=ttyS0 quiet panic=-1 mitigations=off vm_out=$here/out" \
    -serial stdio -display none -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="$here/out",mount_tag=out,security_model=none </dev/null
exit "$(cat out/status 2>/dev/null || echo 99)"
