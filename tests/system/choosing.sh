#!/bin/bash
# Tests best, early_stop, divergence and --snapshot=auto: a training that is killed again and again and started by the
# same command line ends with the same files as one that is not killed. KILLS sets the number of kills, MIN_DELTA the
# length of the training: it is longer if the value is smaller.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

export OMP_NUM_THREADS=1  # two threads that wait for each other are slow on a busy machine
write_tiny_net net.prototxt
sed -i 's/^layer { name: "relu".*/&\nlayer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }/' net.prototxt
# The loss falls more and more slowly, until a test gains less than min_delta.
write_solver solver.prototxt "max_iter: 1000000 display: 100 average_loss: 7 test_iter: 100 test_interval: 200
  snapshot: 500 keep_snapshots: 2 snapshot_prefix: 'x' best { metric: 'loss' mode: MIN }
  early_stop { patience: 3 min_delta: ${MIN_DELTA:-0.0002} } ema { decay: 0.99 test: true }"
for folder in whole parts; do
  mkdir $folder
  cp net.prototxt solver.prototxt $folder
done
train() { "$trainer" train --solver=solver.prototxt --snapshot=auto "$@"; }

(cd whole && train >../whole.log 2>&1)
code=$?
check early_stop_ends_with_0 "exit code $code: $(tail -n 1 whole.log)" [ $code = 0 ]
check early_stop_says_so "" grep -q 'early stop: no improvement for 3 tests' whole.log
check best_says_so "" grep -q ': loss = .*, the new best; wrote x_best.caffemodel' whole.log
check auto_without_snapshot_says_so "" grep -q 'x has no snapshot; the training starts from the beginning' whole.log
check early_stop_is_in_the_report "" grep -q 'early stop: no improvement for 3 tests' whole/x_run/*/report.html
check best_is_in_the_report "" grep -q 'The best weights, of iteration' whole/x_run/*/report.html

# killed: kills the training in `parts` again and again after a random number of lines of its log, then lets it end. The
# kills come before the first snapshot, during tests, and while files are written.
killed() (
  kills=0 last=0 lines=$(wc -l <whole.log)
  touch parts.log
  cd parts || exit 1
  while [ $kills -lt "${KILLS:-6}" ]; do
    train >>../parts.log 2>&1 &
    pid=$!
    last=$((last + RANDOM % (2 * lines / ${KILLS:-6}) + 1))
    until [ "$(wc -l <../parts.log)" -ge $last ] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
    sleep "0.0$((RANDOM % 90 + 10))"
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null && break
  done
  echo "killed $kills times"
  train >>../parts.log 2>&1
)
check killed_training_ends "" killed
check killed_training_continued "" grep -q 'Resuming from x_iter_' parts.log
# The values without their times; best, retry and snapshot lines.
folder() { ls -d "$1"/x_run/* | tail -n 1; }
values() { grep -h -E '"value"|"snapshot"' "$(folder "$1")/metrics.jsonl" | sed -E 's/,"(seconds|data_wait_share|images_per_second)":[^,}]*//g'; }
check one_run_folder "$(ls parts/x_run)" [ "$(ls parts/x_run | wc -l)" -eq 1 ]
check same_files "$(diff <(cd whole && ls x_*.*) <(cd parts && ls x_*.*))" diff -q <(cd whole && ls x_*.*) <(cd parts && ls x_*.*)
for file in whole/*.caffemodel; do
  check "same_$(basename "$file")" "" cmp "$file" "parts/$(basename "$file")"
done
check same_metrics "$(diff <(values whole) <(values parts) | head -n 5)" diff -q <(values whole) <(values parts)
# The page without its head and its facts, which have times.
page() { grep -vhE 'class="soft"|<span>time<|<title>' "$(folder "$1")/report.html"; }
check same_report "$(diff <(page whole) <(page parts) | head -n 5 | cut -c 1-200)" diff -q <(page whole) <(page parts)

# A complete training stays as it is.
cp -r parts copy
(cd parts && train >../again.log 2>&1)
code=$?
check complete_ends_with_0 "exit code $code" [ $code = 0 ]
check complete_says_so "$(tail -n 1 again.log)" grep -q 'This training is complete: it ended at iteration' again.log
check complete_changes_nothing "$(diff -rq parts copy)" diff -rq parts copy

# Copies of snapshots do not write into the run folder of the original; snapshots that were moved do.
write_solver solver.prototxt "max_iter: 20 snapshot: 10 display: 5"
continue_to() { "$trainer" train --solver=solver.prototxt --snapshot=auto --set max_iter="$@" >log 2>&1; }
mkdir original
continue_to 20 --set snapshot_prefix=original/m --run_dir=report
cp -r original copied
cp -r report before_copy
for file in original/m_iter_*; do cp "$file" "original/n${file#original/m}"; done
for prefix in copied/m original/n; do
  name=${prefix//\//_}
  continue_to 30 --set snapshot_prefix=$prefix
  check "${name}_continues" "$(tail -n 1 log)" grep -q "Resuming from ${prefix}_iter_20" log
  check "${name}_says_so" "$(head -n 9 log)" grep -q 'report is that of the snapshots of original/m: the report of this run starts over' log
  check "${name}_has_a_run_folder" "" [ "$(ls ${prefix}_run | wc -l)" -eq 1 ]
  continue_to 40 --set snapshot_prefix=$prefix
  check "${name}_keeps_its_run_folder" "$(head -n 9 log)" [ "$(ls ${prefix}_run | wc -l)" -eq 1 ]
done
check copies_leave_the_report "$(diff -rq report before_copy)" diff -rq report before_copy
mv original moved
continue_to 30 --set snapshot_prefix=moved/m
check moved_snapshots_continue "$(head -n 9 log)" [ ! -e moved/m_run ]
check moved_snapshots_have_their_report "" grep -q '"iteration":25,"split":"train"' report/metrics.jsonl
check command_is_complete "$(head -n 1 report/metrics.jsonl)" grep -qF \
  '"command":"trainer train --solver=solver.prototxt --snapshot=auto --set='"'max_iter=20' --set='snapshot_prefix=original/m' --run_dir=report"'"' report/metrics.jsonl

# A run that is killed before its first snapshot begins again in its folder; another command line has a folder of its own.
write_solver solver.prototxt "max_iter: 1000000 display: 10 snapshot_prefix: 'k'"
killed_early() {
  rm -f killed.log
  "$trainer" train --solver=solver.prototxt --snapshot=auto "$@" >killed.log 2>&1 &
  wait_for 60 grep -q 'Iteration 20 ' killed.log
  kill -9 $!
  wait $! 2>/dev/null
}
for _ in 1 2 3; do killed_early; done
check killed_run_has_one_folder "$(ls k_run)" [ "$(ls k_run | wc -l)" -eq 1 ]
check killed_run_says_so "$(head -n 9 killed.log)" grep -q 'killed before its first snapshot: it starts over' killed.log
check killed_run_has_no_iteration_twice "" [ -z "$(grep -h '"smoothed_loss"' k_run/*/metrics.jsonl | grep -o '"iteration":[0-9]*' | uniq -d)" ]
killed_early --set display=20
check other_run_has_another_folder "$(ls k_run)" [ "$(ls k_run | wc -l)" -eq 2 ]
for _ in 1 2; do killed_early --run_dir=named; done
check named_folder_has_no_iteration_twice "" [ -z "$(grep -h '"smoothed_loss"' named/metrics.jsonl | grep -o '"iteration":[0-9]*' | uniq -d)" ]

# Half-written and damaged snapshots are skipped.
newest=$(cd whole && ls x_iter_*.solverstate | sort -V | tail -n 1)
older=$(cd whole && ls x_iter_*.solverstate | sort -V | tail -n 2 | head -n 1)
cp -r whole before
truncate -s 1000 "whole/$newest"
(cd whole && train >../damaged.log 2>&1)
check damaged_snapshot_is_named "" grep -q "Skipped a damaged snapshot: .*$newest" damaged.log
check older_snapshot_is_taken "" grep -q "Resuming from $older" damaged.log
check damaged_snapshot_is_written_again "" cmp "whole/$newest" "before/$newest"

# Weights beside --snapshot=auto count for the fresh start only.
write_solver solver.prototxt "max_iter: 20 snapshot_prefix: 'w'"
"$trainer" train --solver=solver.prototxt --snapshot=auto --run_dir= --weights=whole/x_best.caffemodel >log 2>&1
check weights_count_for_a_fresh_start "$(tail -n 1 log)" grep -q 'Weights from whole/x_best.caffemodel: 2 layers loaded' log
"$trainer" train --solver=solver.prototxt --snapshot=auto --run_dir= --weights=missing.caffemodel --set max_iter=30 >log 2>&1
code=$?
check weights_do_not_count_for_a_resume "exit code $code: $(tail -n 1 log)" [ $code = 0 ]
check weights_do_not_count_says_so "" grep -q 'weights is not used: the training continues from a snapshot' log

# A rate of 1e20 diverges; after the retry it is 0.001.
write_solver solver.prototxt "max_iter: 300 snapshot: 100 snapshot_prefix: 'd' display: 50 divergence { rate_factor: 1e-23 }"
"$trainer" train --solver=solver.prototxt --set base_lr=1e20 >log 2>&1
code=$?
check retry_ends_with_0 "exit code $code: $(tail -n 1 log)" [ $code = 0 ]
check retry_says_so "" grep -q 'Retry 1 of 1: the training goes back to its start' log
check retry_is_in_the_report "" grep -q 'was not finite: the training continued from iteration 0' d_run/*/report.html
check retry_leaves_no_iteration_twice "" [ -z "$(grep -h '"smoothed_loss"' d_run/*/metrics.jsonl | grep -o '"iteration":[0-9]*' | uniq -d)" ]
"$trainer" train --solver=solver.prototxt --set base_lr=1e20 --set divergence.retries=2 --set divergence.rate_factor=0.5 \
  --set snapshot_prefix=e --run_dir= >log 2>&1
code=$?
check retries_end_with_4 "exit code $code: $(tail -n 1 log)" [ $code = 4 ]
finish
