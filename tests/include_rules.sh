#!/bin/bash
# The rules of the source tree: which room may include which, where the headers of other people's libraries may stand,
# and that each file opens with what it is for.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
passed=0 failed=0
# Room: the rooms it may include besides its own.
declare -A below=(
  [base]="" [gpus]="base" [tensor]="base" [formats]="tensor base" [config]="formats tensor base" [ops]="config formats tensor base"
  [layers]="ops config formats tensor base" [runtime]="ops config formats tensor base"
  [lowering]="layers ops config formats tensor base" [compile]="runtime ops config formats tensor base"
  [data]="config formats tensor base" [report]="config formats tensor base"
  [session]="report compile data lowering layers runtime ops config formats tensor base"
  [train]="session report compile data lowering layers runtime ops config formats tensor base"
  [cli]="gpus train session report compile data lowering layers runtime ops config formats tensor base"
  [device]="runtime ops config formats tensor base")
# Header: the folders that may include it.
declare -A vendors=(
  [dnnl]="src/device/cpu/onednn" [cblas]="src/device/cpu/openblas" [hdf5]="src/formats" [lmdb]="src/data/records" [leveldb]="src/data/records/leveldb"
  [opencv2]="src/data/pictures/resize.cc" [turbojpeg]="src/data/pictures" [png]="src/data/pictures" [cuda]="src/device/cuda" [cudnn]="src/device/cuda")

report() { if [ -z "$2" ]; then passed=$((passed + 1)); echo "ok $1"; else failed=$((failed + 1)); echo "FAIL $1"; echo "$2"; fi; }

for room in "${!below[@]}"; do
  allowed="$room ${below[$room]}"
  report "include_rules_$room" "$(grep -rnE '^ *# *include "[a-z0-9_]+/' "src/$room" | grep -v '^src/runtime/open_device.cc:' |
    grep -vE "include \"(${allowed// /|})/")"
done
for header in "${!vendors[@]}"; do
  report "vendor_header_$header" "$(grep -rnE "^ *# *include <${header}([./_][^>]*)?>" src | grep -vE "^${vendors[$header]}[/:]")"
done
report opening_comments "$(find src tests -name '*.cc' -o -name '*.h' -o -name '*.cu' | while read -r file; do
  [ "$(head -c 2 "$file")" = // ] || echo "$file does not open with a comment"; done)"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
