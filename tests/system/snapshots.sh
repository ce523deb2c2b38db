#!/bin/bash
# Tests that snapshots are always complete: after kill -9 during a write, on a full disk, without their folder.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# 5 MB of weights and 5 MB of history, and a snapshot in each iteration: the run spends most of its time in snapshots.
write_tiny_net net.prototxt
sed -i 's/num_output: 3 /num_output: 20000 /' net.prototxt
write_solver solver.prototxt "max_iter: 2000000000 display: 1 snapshot: 1 keep_snapshots: 2 snapshot_prefix: 'snap/x'"

newest() { find snap -name '*.solverstate*' ! -name '*.tmp*' | grep -E '\.solverstate(\.h5)?$' | sort -V | tail -n 1; }
iteration_of() { sed -E 's/.*_iter_([0-9]+)\..*/\1/' <<<"$1"; }
train() { "$trainer" train --solver=solver.prototxt --run_dir= "$@" >log 2>&1; }
# resumes STATE FLAG...: whether the state can be resumed for two more iterations.
resumes() {
  local state=$1 iteration
  shift
  [ -n "$state" ] || { echo "there is no snapshot" >&2; return 1; }
  iteration=$(iteration_of "$state")
  train --snapshot="$state" --set max_iter=$((iteration + 2)) "$@" || { tail -n 1 log >&2; return 1; }
}

# killed FORMAT: kills a run eight times, at different points of the writing, and each time resumes from the newest
# snapshot. The last run removes the temporary files of the others.
killed() {
  local round state= from=()
  rm -rf snap
  mkdir snap
  for round in 1 2 3 4 5 6 7 8; do
    rm -f log
    "$trainer" train --solver=solver.prototxt --run_dir= --set snapshot_format="$1" "${from[@]}" >log 2>&1 &
    wait_for 30 grep -qs "Snapshotting solver state" log
    sleep "0.0$((RANDOM % 90 + 10))"
    kill -9 $!
    wait $! 2>/dev/null
    # In the first round the first snapshot may not be complete yet.
    [ -n "$(newest)" ] || [ "$round" = 1 ] || { echo "no snapshot in round $round" >&2; return 1; }
    state=$(newest)
    [ -z "$state" ] || from=(--snapshot="$state")
  done
  resumes "$state" --set snapshot_format="$1" && [ -z "$(find snap -name '*.tmp')" ]
}
check kill_9_leaves_a_snapshot_that_resumes "$(tail -n 1 log 2>/dev/null)" killed BINARYPROTO
check kill_9_leaves_an_hdf5_snapshot_that_resumes "$(tail -n 1 log 2>/dev/null)" killed HDF5

# full FORMAT COMMAND...: the command runs a training on a disk with space for one snapshot but not for many. The training
# must run to its end, end with code 3, name a file of the snapshot, leave no partial file, and be resumable.
full() {
  local format=$1 code
  shift
  rm -rf snap
  mkdir snap
  "$@" "$trainer" train --solver=solver.prototxt --run_dir= --set max_iter=6 --set snapshot_format="$format" \
    --set keep_snapshots=0 >log 2>&1
  code=$?
  [ $code = 3 ] || { echo "exit code $code: $(tail -n 1 log)" >reason; return 1; }
  grep -q 'snap/x_iter_[0-9]*\.' log || { echo "no file is named: $(tail -n 1 log)" >reason; return 1; }
  grep -q 'Iteration 5 ' log || { echo "the training did not go on: $(tail -n 1 log)" >reason; return 1; }
  ! grep -q 'Snapshotting to .*_iter_6' log || { echo "a snapshot is told that there is not" >reason; return 1; }
}
check_full() {
  if full "${@:2}"; then ok "$1"; else bad "$1" "$(cat reason)"; fi
}
# A file size limit replaces a full disk: writes fail in the same way, if SIGXFSZ is ignored.
limited() { (trap '' XFSZ; ulimit -f "$limit"; exec "$@"); }
limit=2000
check_full file_size_limit_is_told BINARYPROTO limited
check_full file_size_limit_is_told_hdf5 HDF5 limited
check file_size_limit_leaves_nothing_half "$(ls snap)" [ -z "$(find snap -type f)" ]

# A small file system, if the kernel allows this user to mount one.
on_small_disk() {
  unshare -rm bash -c 'mount -t tmpfs -o size=25m none snap && "$@"; code=$?
    cp -r snap kept; exit $code' small_disk "$@"
}
if unshare -rm bash -c 'mkdir -p try && mount -t tmpfs none try' 2>/dev/null; then
  for format in BINARYPROTO HDF5; do
    rm -rf kept
    check_full "full_disk_is_told_$format" "$format" on_small_disk
    rm -rf snap
    mv kept snap
    check "full_disk_keeps_a_snapshot_that_resumes_$format" "$(tail -n 1 log)" \
      resumes "$(newest)" --set snapshot_format="$format"
  done
fi

rm -rf snap
train
code=$?
check missing_folder_ends_with_3_or_2 "exit code $code" [ $code = 2 -o $code = 3 ]
check missing_folder_is_named "$(tail -n 1 log)" grep -q 'snap' log
check missing_folder_is_told_before_the_first_step "$(tail -n 1 log)" bash -c '! grep -q Iteration log'

mkdir snap
train --set max_iter=7
check keep_snapshots_keeps_two "$(ls snap)" [ "$(find snap -name '*.solverstate' | wc -l)" = 2 ]

# The manifest detects files that do not belong together.
cp snap/x_iter_6.caffemodel snap/x_iter_7.caffemodel
train --snapshot=snap/x_iter_7.solverstate
code=$?
check changed_weights_are_not_resumed_from "exit code $code" [ $code = 3 ]
check changed_weights_are_named "$(tail -n 1 log)" grep -q 'x_iter_7.caffemodel has changed' log
"$trainer" test --model=net.prototxt --weights=snap/x_iter_7.caffemodel --iterations=1 >log 2>&1
code=$?
check changed_weights_are_not_tested "exit code $code: $(tail -n 1 log)" [ $code = 3 ]
train --weights=snap/x_iter_7.caffemodel --set max_iter=1
code=$?
check changed_weights_are_not_trained_from "exit code $code: $(tail -n 1 log)" [ $code = 3 ]
rm snap/x_iter_7.manifest
check without_manifest_they_are "$(tail -n 1 log)" resumes snap/x_iter_7.solverstate

# Two runs do not replace each other's snapshots.
"$trainer" train --solver=solver.prototxt --run_dir= >first.log 2>&1 &
wait_for 30 grep -qs "Snapshotting solver state" first.log
train --set max_iter=3
code=$?
check a_second_run_ends_with_2 "exit code $code: $(tail -n 1 log)" [ $code = 2 ]
check a_second_run_names_the_first "$(tail -n 1 log)" grep -q "pid $! on .*snap/x" log
check another_prefix_is_free "$(tail -n 1 log)" train --set max_iter=1 --set snapshot_prefix=snap/y
kill -9 $!
wait $! 2>/dev/null
check a_killed_run_locks_nothing "$(tail -n 1 log)" train --set max_iter=1
check a_finished_run_leaves_no_lock "$(ls snap)" [ ! -e snap/.x.trainer-lock ]
finish
