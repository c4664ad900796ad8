#!/usr/bin/env bash
# `make demo`: runs the watcher and the generator side by side, as two processes that share a folder.
set -euo pipefail

template='a (red) [(circle)|(square)|(star)] moving [left|right]'

mkdir -p outputs
attnwatch outputs/ > >(sed -u 's/^/[attnwatch] /') 2>&1 &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true' EXIT

echo "\$ attnwatch outputs/ &"
echo "\$ python -m generator --config configs/attention_visualization_demo.yaml --template \"$template\"" \
  "--videos-per-variation 1 --batch-name demo"
python -m generator --config configs/attention_visualization_demo.yaml --template "$template" \
  --videos-per-variation 1 --batch-name demo > >(sed -u 's/^/[generator] /') 2>&1

# Render what the watcher has not rendered yet; return when nothing is left.
attnwatch outputs/ --once --quiet
kill "$watcher"
wait "$watcher" || true
trap - EXIT

batch=$(ls -d outputs/demo_* | tail -n 1)
echo
echo "Attention videos of $batch:"
find "$batch" -path '*/attention_videos/*.mp4' | sort
picture=$batch/overview.png
python configs/demo_picture.py "$batch" "$picture"
echo
echo "Open this picture first: $picture"
echo "Or play everything in sync in a browser: .venv/bin/attnwatch view outputs/"
