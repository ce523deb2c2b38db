#!/bin/bash
# tools/gpu_check on an emulated GPU (tests/emulated_gpu), in a bundle laid out as gpu_check_bundle lays it out: each part
# that can run there does, what is missing is skipped, and a failure is told and stops nothing.
#
#   tests/system/gpu_check.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

built=$(dirname "$trainer")/tests
use_emulated_gpu
mkdir -p bundle/bin bundle/lib
cp "$built/trainer" "$built/trainer_tests" bundle/bin
ln -s "$built/libtrainer_cuda.so" bundle/lib
ln -s "$source_folder/models" "$source_folder/tests" "$source_folder/tools" bundle
echo 0123abc >bundle/commit

gpu_check() { PEER_DEVICE=none "$source_folder/tools/gpu_check" "$@" bundle --quick >log 2>&1; }
row_of() { grep -E "^\| $1 \| $2 \| $3 \|" out/results.md; }

gpu_check out --only=net,tests,resume,lenet,speed --precisions=fp32
code=$?
cat log
check exit_code "$code" [ $code = 0 ]
check ends_with_the_sum "$(tail -n 1 log)" [ "$(tail -n 1 log)" = "6 passed, 0 failed, 1 skipped" ]
check results_are_what_is_printed "$(diff log out/results.md)" cmp -s log out/results.md
check tells_the_commit "$(head -n 3 log)" grep -q '^commit 0123abc,' log
check without_data_is_skipped "$(row_of lenet '.*' '.*')" row_of lenet accuracy skipped
check speed_is_measured "$(row_of speed '.*' '.*')" grep -qE ' [0-9.]+ ms, [0-9]+ MiB; no peer; .*TFLOP/s.*; step by step [0-9.]+ ms' \
  <(row_of speed 'lenet \(4\) fp32' passed)
check commands_are_logged "$(ls out)" grep -q '^== bin/trainer train .*--gpu=0' out/net.log

FAKE_GPUS= gpu_check out --only=net,resume
code=$?
check exit_code_of_a_failure "$code: $(tail -n 1 log)" [ $code = 1 ]
check a_failure_stops_nothing "$(cat log)" row_of resume 20_iterations FAILED
check a_failure_tells_why "$(cat log)" grep -q 'the driver sees no GPU' out/results.md
gpu_check out --only=nothing
check unknown_part "$?: $(cat log)" grep -q 'unknown part nothing; known: net tests' log
finish
