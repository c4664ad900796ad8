#!/bin/sh
# Removes what no program in an image needs from a virtual environment. What is left is imported when the image is built.
set -eu

site=$(echo "$1"/lib/python3*/site-packages)
"$1/bin/python" -m pip uninstall -q -y pip
# The other program: it needs torch.
rm -rf "$site"/generator

# Tests, and sources of compiled modules: 20 MB.
rm -rf "$site"/numpy/f2py "$site"/numpy/_core/_simd.*.so "$site"/numpy/_core/_*_tests.*.so "$site"/matplotlib/mpl-data/sample_data
find "$site" -depth -type d -name tests -exec rm -rf {} +
find "$site" -type f \( -name "*.c" -o -name "*.cpp" -o -name "*.h" -o -name "*.a" -o -name "*.pyx" -o -name "*.pxd" -o -name "*.pyi" \) -delete

# Debug information of compiled modules: 70 MB. Not of the libraries in *.libs: they were moved there after they had been linked, and some do not survive it.
find "$site" -type f -name "*.so" ! -path "*.libs/*" -exec strip --strip-unneeded {} +

# Parts of Pillow that Pillow itself may lack: 9 MB. It is here for matplotlib, which writes PNG with it.
for part in avif webp imagingcms imagingft imagingtk; do rm -f "$site/PIL/_$part".*.so; done
for library in avif brotli freetype harfbuzz lcms2 webpdemux webpmux; do rm -f "$site/pillow.libs/lib$library"*; done
