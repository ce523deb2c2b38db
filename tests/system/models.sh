#!/bin/bash
# Tests that each net of models/ compiles and runs one iteration with its update, in both phases, on random batches, and
# that the solvers of models/recipes train and test an epoch of a tiny data set.
#
#   tests/system/models.sh TRAINER
set -uo pipefail
trainer=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
passed=0
failed=0
for net in models/*/*_train_*.prototxt; do
  for phase in TRAIN TEST; do
    if output=$("$trainer" time --model="$net" --stage=bench --phase=$phase --update --iterations=1 2>&1) &&
      grep -q 'Average Forward-Backward: ' <<<"$output"; then
      passed=$((passed + 1))
      echo "ok      $net $phase"
    else
      failed=$((failed + 1))
      echo "FAILED  $net $phase"
      tail -n 20 <<<"$output"
    fi
  done
done

# idx MAGIC EXTENT...: an IDX file of zeros.
idx() {
  local number bytes count=1
  for number; do
    bytes=$(printf %08x "$number")
    printf "\\x${bytes:0:2}\\x${bytes:2:2}\\x${bytes:4:2}\\x${bytes:6:2}"
  done
  for number in "${@:2}"; do count=$((count * number)); done
  head -c "$count" /dev/zero
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$PWD/models" "$work/models"
mkdir -p "$work/data/fashion-mnist"
idx 0x803 256 28 28 >"$work/images"
idx 0x801 256 >"$work/labels"
for split in train test; do
  "$trainer" convert idx "$work/images" "$work/labels" "$work/data/fashion-mnist/${split}_lmdb" >/dev/null 2>&1
done
for solver in models/recipes/*_solver.prototxt; do
  if output=$(cd "$work" && "$trainer" train --solver="$solver" --run_dir= --set max_epochs=1 --set test_iter=2 \
    --set snapshot_prefix="$work/snapshot" 2>&1) && grep -q 'Optimization Done' <<<"$output"; then
    passed=$((passed + 1))
    echo "ok      $solver"
  else
    failed=$((failed + 1))
    echo "FAILED  $solver"
    tail -n 20 <<<"$output"
  fi
done
# bench PATTERN TOOL [WORD...]: a benchmark, at a tiny size, has a line like this.
bench() {
  local pattern=$1
  shift
  output=$("tools/$1" --tiny --trainer="$trainer" "${@:2}" 2>&1)
  if grep -qE "$pattern" <<<"$output"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED  tools/$* --tiny"
    tail -n 20 <<<"$output"
  fi
}
folder=$(dirname "$trainer")
bench '^lenet: trainer [0-9]' bench lenet
[[ ! -e $folder/libtrainer_gloo.so ]] || bench '^lenet +[0-9.]+ ms +[0-9.]+ ms +[0-9.]+' bench_ranks lenet
[[ ! -x $folder/bench_kernels ]] ||
  bench '^CIFAR10_full +winograd +convolution .* oneDNN .* times' bench --kernels cifar10_full
echo "$passed passed, $failed failed"
((failed == 0))
