#!/bin/sh
# Removes what no program in an image needs from a virtual environment: tests, headers, sources of extension modules, pip.
set -eu

site=$(echo "$1"/lib/python3*/site-packages)
"$1/bin/python" -m pip uninstall -q -y pip
find "$site" -depth -type d \( -name tests -o -name testing -o -name include \) ! -path "*/numpy/testing" -exec rm -rf {} +
find "$site" -type f \( -name "*.pyx" -o -name "*.pxd" -o -name "*.pyi" -o -name "*.c" -o -name "*.h" -o -name "*.a" \) -delete
rm -rf "$site"/matplotlib/mpl-data/sample_data "$site"/numpy/f2py "$site"/setuptools
# Most of this one is debug information. Others are left alone: libraries that were moved into wheels cannot be stripped.
if command -v strip > /dev/null; then
  strip --strip-debug "$site"/zstandard/*.so
fi
# Compiled once here, because the user of the container cannot write it.
find "$site" -depth -type d -name __pycache__ -exec rm -rf {} +
"$1/bin/python" -m compileall -q -j 0 "$site" > /dev/null || true
