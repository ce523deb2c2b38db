#!/bin/bash
# Tests tools/gpu_check on an emulated GPU (tests/emulated_gpu), in a bundle with the layout of gpu_check_bundle and with a
# stand-in for PyTorch: every possible part runs, parts that lack something are skipped, a failure does not stop the run,
# and a killed run leaves its rows.
#
#   tests/system/gpu_check.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

built=$(dirname "$trainer")/tests
use_emulated_gpu
mkdir -p bundle/bin bundle/lib programs
cp "$built/trainer" "$built/trainer_tests" bundle/bin
ln -s "$built/libtrainer_cuda.so" "$(dirname "$trainer")/libtrainer.so.0" bundle/bin
ln -s "$source_folder/models" "$source_folder/tests" "$source_folder/tools" bundle
echo 0123abc >bundle/commit

# Answers like bench_peer.py, with 1000 ms per iteration, so that trainer is faster. FAKE_PEER=MODE fails in this mode.
cat >programs/python3 <<'PYTHON'
#!/bin/bash
case " $* " in
  *"import torch"*) echo 9.9 ;;
  *" serve "*"$FAKE_PEER "*) echo 'broken mode' >&2; exit 1 ;;
  *" serve "*) echo ready; while read -r line; do echo '1000 77'; done ;;
  *" peak "*) for p in bf16 tf32 fp32; do echo "$p 1e12"; done ;;
  *) exit 1 ;;
esac
PYTHON
chmod +x programs/python3
export FAKE_PEER=reduce-overhead PATH=$PWD/programs:$PATH

gpu_check() { "$source_folder/tools/gpu_check" "$@" bundle --quick >log 2>&1; }
row_of() { grep -E "^\| $1 \| $2 \| $3 \|" out/results.md; }

gpu_check out --only=net,tests,resume,lenet,speed,peer,cpu --precisions=fp32,tf32 --pack=packs
code=$?
cat log
check exit_code "$code" [ $code = 0 ]
check ends_with_the_sum "$(tail -n 1 log)" grep -qE '^[0-9]+ passed, 0 failed, 1 skipped$' <(tail -n 1 log)
check results_are_what_is_printed "$(diff log out/results.md)" cmp -s log out/results.md
check tells_the_commit "$(head -n 3 log)" grep -q '^commit 0123abc,' log
check without_data_is_skipped "$(row_of lenet '.*' '.*')" row_of lenet accuracy skipped
check speed_is_measured "$(row_of speed '.*' '.*')" grep -qE ' [0-9.]+ ms, [0-9]+ MiB; .*TFLOP/s, .* of 1; step by step [0-9.]+ ms' \
  <(row_of speed 'lenet \(4\) tf32' passed)
check traces_are_kept "$(ls out/traces)" grep -q '"gflops"' out/traces/lenet_tf32.json
check peer_is_compared "$(row_of peer '.*' '.*')" grep -qE ' [0-9.]+ ms, [0-9]+ MiB; PyTorch \(nhwc\) 1000 ms, 77 MiB: [0-9.]+ times as fast; medians of 1' \
  <(row_of peer 'lenet \(4\) tf32 reduce-overhead' passed)
check failed_mode_is_logged "$(cat out/peer.log)" grep -q 'broken mode' out/peer.log
check cpu_is_compared "$(row_of cpu '.*' '.*')" row_of cpu 'lenet \(64\) fp32 compile' passed
check threads_are_compared "$(row_of cpu '.*' '.*')" grep -q ': 1.00 times as fast as one thread' <(row_of cpu 'lenet \(64\) fp32, threads: 1' passed)
check commands_are_logged "$(ls out)" grep -q '^== bin/trainer train .*--gpu=0' out/net.log
check packs_hold_results "$(ls packs)" [ "$(tar -xOf packs/results.tar.gz results.md | grep -c '^|')" = "$(grep -c '^|' out/results.md)" ]
check packs_hold_traces "$(tar -tf packs/results.tar.gz)" grep -q 'traces/lenet_fp32.json' <(tar -tf packs/results.tar.gz)

# Caches are kept, are reused in another OUT, and are restored from read-only files.
kept=$(ls out/cache/trainer/cuda | wc -l)
check caches_are_kept "$(find out/cache)" [ "$kept" -gt 0 ]
chmod -R a-w out/cache
gpu_check again --only=net --cache=out
check caches_are_used "$(cat log)" [ "$(ls again/cache/trainer/cuda | wc -l)" -ge "$kept" -a -w again/cache/trainer/cuda ]
check number_of_cached_files_is_told "$(cat log)" grep -q "cache of $kept files" log
gpu_check packed --only=net --cache=packs/trainer_cache.tar.xz
check packed_caches_are_used "$(cat log)" grep -q "cache of $kept files" log
chmod -R u+w out/cache
gpu_check out --only=net
check rows_are_appended "$(cat out/results.md)" [ "$(grep -c '^| net | device_query' out/results.md)" = 2 ]

# A run without time for later parts skips them; a killed run leaves its rows.
gpu_check short --only=net,speed,peer --seconds=1
check no_time_left "$?: $(cat log)" grep -q '^| speed | lenet (4) bf16 | skipped | no time left' short/results.md
"$source_folder/tools/gpu_check" killed bundle --quick --only=net,tests,speed --pack=killed_packs >/dev/null 2>&1 &
pid=$!
wait_for 60 grep -q '^| tests | kernels' killed/results.md 2>/dev/null
kill -KILL $pid
wait $pid 2>/dev/null
check killed_run_leaves_rows "$(cat killed/results.md)" grep -q '^| net | trains_as_the_cpu | passed' killed/results.md
check killed_run_leaves_packs "$(ls killed_packs)" grep -q '^| net | trains_as_the_cpu | passed' <(tar -xOf killed_packs/results.tar.gz results.md)

FAKE_GPUS= gpu_check without --only=net,resume,peer
code=$?
check exit_code_of_a_failure "$code: $(tail -n 1 log)" [ $code = 1 ]
check a_failure_stops_nothing "$(cat log)" grep -q '^| resume | 20_iterations | FAILED' log
check a_failure_tells_why "$(cat log)" grep -q 'the driver sees no GPU' without/results.md
check no_peer_without_a_gpu "$(cat log)" bash -c '! grep -q "| peer | .* passed" without/results.md'

# Failures of a run that is cut short, or of the peer, are failures.
cp -r bundle whole && rm bundle/bin/trainer_tests
printf '#!/bin/bash\necho "[       OK ] Gpu.Copies (1 ms)"; echo "[  FAILED  ] Gpu.Pools (2 ms)"; sleep 60\n' >bundle/bin/trainer_tests
chmod +x bundle/bin/trainer_tests
gpu_check cut --only=tests --seconds=25
check a_failure_counts_though_time_ends "$(cat log)" grep -q '^| tests | kernels | FAILED | 0 passed, 1 failed: Gpu.Pools' cut/results.md
mv bundle/bin/trainer bundle/bin/whole
printf '#!/bin/bash\n[[ " $* " != *" --cpu "* ]] || exit 132\nexec "$(dirname "$0")/whole" "$@"\n' >bundle/bin/trainer
chmod +x bundle/bin/trainer
gpu_check no_cpu --only=net
check nothing_to_compare_with_is_a_failure "$(cat log)" grep -q '^| net | trains_on_the_cpu | FAILED' no_cpu/results.md
check and_nothing_is_compared "$(cat log)" bash -c '! grep -q trains_as_the_cpu no_cpu/results.md'
rm -r bundle && mv whole bundle
gpu_check wrong --only=nothing
check unknown_part "$?: $(cat log)" grep -q 'unknown word nothing in --only; known: net tests' log
gpu_check wrong --seconds=x
check wrong_seconds "$?: $(cat log)" grep -q 'expects a whole number of seconds' log
finish
