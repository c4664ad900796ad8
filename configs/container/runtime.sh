#!/bin/sh
# Makes the root folder that programs in Python need, and nothing else: files of a few of Debian's packages, with its
# interpreter. There is a shell, because it runs the commands of `--on-rendered`, but no other program, no package
# manager and no pip.
set -eu

root=$1
packages="base-files netbase media-types tzdata dash libc6 libgcc-s1 libstdc++6 zlib1g libbz2-1.0 libexpat1 libffi8 liblzma5 libssl3t64 libuuid1 libzstd1
  python3.13-minimal libpython3.13-minimal libpython3.13-stdlib"

mkdir -p "$root/var/lib/dpkg/status.d"
cd "$(mktemp -d)"
# shellcheck disable=SC2086
apt-get download $packages
for package in $packages; do
  # Without the character sets of the C library (Python has its own, and FFmpeg needs none), and tests of Python.
  dpkg-deb --fsys-tarfile "${package}"_*.deb | tar -x -C "$root" --exclude="./usr/lib/*/gconv" \
    --exclude="./usr/lib/python3*/test" --exclude="./usr/lib/python3*/ensurepip" --exclude="./usr/lib/python3*/lib-dynload/_test*" \
    --exclude="./usr/share/man" --exclude="./usr/share/locale" --exclude="./usr/share/doc/*/changelog*"
  # Where scanners for vulnerabilities look for the packages of an image that has no package manager.
  dpkg-deb --field "${package}"_*.deb > "$root/var/lib/dpkg/status.d/$package"
done

echo "root:x:0:0::/:/usr/sbin/nologin" > "$root/etc/passwd"
echo "attnwatch:x:10001:10001::/tmp:/usr/sbin/nologin" >> "$root/etc/passwd"
printf "root:x:0:\nattnwatch:x:10001:\n" > "$root/etc/group"
