#!/bin/bash
# The rules of the source tree: which room may include which, as the picture in docs/architecture.md shows, where the headers of
# other people's libraries may stand, and that each file opens with what it is for.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
passed=0 failed=0
# Room: the rooms it may include besides its own.
declare -A below=(
  [base]="trainer" [gpus]="base" [ranks]="tensor base" [tensor]="base" [formats]="tensor base" [config]="formats tensor base" [ops]="config formats tensor base"
  [layers]="trainer ops config formats tensor base" [runtime]="ops config formats tensor base"
  [lowering]="layers ops config formats tensor base" [compile]="runtime ops config formats tensor base"
  [nets]="config formats tensor base" [data]="layers ops config formats tensor base" [report]="trainer config formats tensor base" [hub]="report config formats tensor base"
  [session]="gpus ranks hub report compile data lowering layers runtime ops config formats tensor base"
  [export]="session hub report data lowering layers runtime ops config formats tensor base"
  [train]="ranks session hub report compile data lowering layers runtime ops config formats tensor base"
  [api]="trainer train gpus session hub report compile data lowering layers runtime ops config formats tensor base"
  [cli]="nets gpus ranks train export session hub report compile data lowering layers runtime ops config formats tensor base"
  [device]="runtime ops config formats tensor base")
# Header: the folders that may include it.
declare -A vendors=(
  [dnnl]="src/device/cpu/onednn" [cblas]="src/device/cpu/openblas" [hdf5]="src/formats" [lmdb]="src/data/records" [leveldb]="src/data/records/leveldb"
  [opencv2]="src/data/pictures/resize.cc" [jpeglib]="src/data/pictures/jpeg_library.h" [png]="src/data/pictures"
  [webp]="src/data/pictures/formats/webp.cc" [tiffio]="src/data/pictures/formats/tiff.cc" [gif_lib]="src/data/pictures/formats/gif.cc"
  [cuda]="src/device/cuda" [cudnn]="src/device/cuda")

report() { if [ -z "$2" ]; then passed=$((passed + 1)); echo "ok $1"; else failed=$((failed + 1)); echo "FAIL $1"; echo "$2"; fi; }

for room in "${!below[@]}"; do
  allowed="$room ${below[$room]}"
  report "include_rules_$room" "$(grep -rnE '^ *# *include "[a-z0-9_]+/' "src/$room" | grep -v '^src/runtime/open_device.cc:' |
    grep -vE "include \"(${allowed// /|})/")"
done
for header in "${!vendors[@]}"; do
  report "vendor_header_$header" "$(grep -rnE "^ *# *include <${header}([./_][^>]*)?>" src | grep -vE "^${vendors[$header]}[/:]")"
done
# The picture in docs/architecture.md has the rooms of src, each above the rooms that it includes.
declare -A line=()
number=0
while IFS= read -r row; do
  number=$((number + 1))
  for room in $(grep -oE '\[[a-z]+\]' <<<"$row" | tr -d '[]'); do line[$room]=$number; done
done < <(awk '/^```text$/ { on = 1; next } /^```$/ { on = 0 } on' docs/architecture.md)
rooms() { printf '%s\n' "$@" | sort; }
folders=$(cd src && rooms */ | tr -d /)
report rooms_of_the_table "$(diff <(rooms "${!below[@]}") <(echo "$folders"))"
report rooms_of_the_picture "$(diff <(rooms "${!line[@]}") <(echo "$folders"))"
report order_of_the_picture "$(for room in "${!below[@]}"; do
  for lower in ${below[$room]}; do
    [ $lower = trainer ] || [ "${line[$lower]:-0}" -gt "${line[$room]:-0}" ] || echo "docs/architecture.md: $lower is not below $room"
  done; done)"
report public_headers "$(grep -nE '^ *# *include "' include/trainer/*.h | grep -v 'include "trainer/'
  grep -nE '^ *# *include <[^>]*[./][^>]*>' include/trainer/*.h | grep -vE '<std(def|int)\.h>')"
report opening_comments "$(find include src tests -name '*.cc' -o -name '*.h' -o -name '*.cu' | while read -r file; do
  [[ $(head -c 2 "$file") == /[/*] ]] || echo "$file does not open with a comment"; done)"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
