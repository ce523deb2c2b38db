#!/bin/bash
# Tests that each net of models/ compiles and runs one iteration with its update, in both phases, on random batches.
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
output=$(tools/bench --tiny --trainer="$trainer" lenet 2>&1)
if grep -q '^lenet: trainer [0-9]' <<<"$output"; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
  echo "FAILED  tools/bench --tiny"
  tail -n 20 <<<"$output"
fi
if [[ -x $(dirname "$trainer")/bench_kernels ]]; then
  output=$(tools/bench --kernels --tiny --trainer="$trainer" cifar10_full 2>&1)
  if grep -qE '^CIFAR10_full +winograd +convolution .* oneDNN .* times' <<<"$output"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED  tools/bench --kernels --tiny"
    tail -n 20 <<<"$output"
  fi
fi
echo "$passed passed, $failed failed"
((failed == 0))
