#!/bin/bash
# Tests training, test and time in several processes on the loopback address: equal results, the meeting, stops, lost
# processes and --elastic.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"
source "$source_folder/tests/system/ranks.bash"

# start N [WORD...]: starts N processes; sets pids. The output of rank R is in out.R.
start() {
  local n=$1 rank
  shift
  rm -f out.*
  pids=()
  for ((rank = 0; rank < n; rank++)); do
    RANK=$rank WORLD_SIZE=$n LOCAL_RANK=$rank LOCAL_WORLD_SIZE=$n setsid "$trainer" "$@" >out.$rank 2>&1 </dev/null &
    pids+=($!)
  done
}
run() { start "$@"; await; }

"$trainer" train --solver=solver.prototxt --run_dir= --set iter_size=4 --set snapshot_prefix=one >log 2>&1
one=$(grep -c 'Test net output' log)
run 4 train --solver=solver.prototxt
check four_processes_end_with_0 "$codes: $(last_lines)" [ "$codes" = "0 0 0 0" ]
check they_train_what_one_does "" close w_iter_24.caffemodel one_iter_24.caffemodel
check tests_are_equal "$(diff <(grep -o 'Test net output.*' log) <(grep -o 'Test net output.*' out.0))" [ "$one" = "$(grep -c 'Test net output' out.0)" ]
check only_rank_0_shows_the_log "$(cat out.1 out.2 out.3 | head -n 3)" [ "$(cat out.1 out.2 out.3 | wc -c)" = 0 ]
check the_start_names_processes "" has_line out.0 '4 processes train together: 4 on .*\. An iteration has 16 images: 4 on each of 4 devices'
check the_others_keep_logs "$(ls w_run/*)" [ "$(ls w_run/*/rank-?.log | wc -l)" = 3 ]
check no_token_is_left "$(ls)" [ ! -e w.meeting ]

# test gives the same table, from rank 0 only; time reports the exchange.
"$trainer" test --model=net.prototxt --weights=one_iter_24.caffemodel --json >one.json 2>/dev/null
run 3 test --model=net.prototxt --weights=one_iter_24.caffemodel --json
check test_ends_with_0 "$codes: $(last_lines)" [ "$codes" = "0 0 0" ]
check test_gives_the_same "$(diff one.json <(sed -n '/^{/,/^}/p' out.0))" diff -q one.json <(sed -n '/^{/,/^}/p' out.0)
run 2 time --model=net.prototxt --iterations=3 --trace=trace.json
check time_ends_with_0 "$codes: $(last_lines)" [ "$codes" = "0 0" ]
check time_shows_the_exchange "$(last_lines)" has_line out.0 'Average exchange with 1 other process'
check trace_shows_the_exchange "" has_line trace.json 'exchange of'
port=$((RANDOM % 9000 + 20000))
MASTER_ADDR=127.0.0.1 MASTER_PORT=$port run 2 test --model=net.prototxt --weights=one_iter_24.caffemodel --json
check a_given_port_without_a_token "$codes: $(last_lines)" [ "$codes" = "0 0" ]
run 2 convert idx test-images test-labels once
check other_commands_run_once "$codes: $(last_lines)" [ "$codes $(cat out.1 | wc -c)" = "0 0 0" ]

# Mistakes.
RANK=0 WORLD_SIZE=2 "$trainer" train --solver=solver.prototxt --set max_iter=5 >other 2>&1 &
RANK=1 WORLD_SIZE=2 "$trainer" train --solver=solver.prototxt --set max_iter=6 >another 2>&1
code=$?
wait
check differing_solvers_end_with_2 "$code: $(cat other another)" [ $code = 2 ]
check differing_solvers_are_named "$(cat another)" grep -qE 'the solver of rank 1 on .* differs from that of rank 0 on .*--ranks=none' another
TRAINER_MEETING_SECONDS=1 RANK=1 WORLD_SIZE=2 "$trainer" train --solver=solver.prototxt >other 2>&1
code=$?
check a_missing_rank_ends_with_7 "$code: $(cat other)" [ $code = 7 ]
check a_missing_rank_is_named "$(cat other)" grep -q 'rank 0 did not arrive within 1 s' other
RANK=1 WORLD_SIZE=2 "$trainer" train --solver=solver.prototxt --ranks=none --run_dir= --set max_iter=2 --set snapshot_prefix=alone >other 2>&1
code=$?
check ranks_none_trains_alone "$code: $(tail -n 1 other)" [ $code = 0 ]

# Rank 0 is suspended while it waits for rank 1; see the end.
one_of_two() { TRAINER_MEETING_SECONDS=300 RANK=$1 WORLD_SIZE=2 exec setsid "$trainer" train --solver=solver.prototxt --run_dir= --set snapshot_prefix=late; }
one_of_two 0 >late.0 2>&1 &
suspended=$!
wait_for 10 [ -e late.meeting ]
kill -STOP $suspended
suspended_at=$SECONDS

# The end is the same for all, also of a run that resumes there.
run 2 train --solver=solver.prototxt --run_dir= --set max_iter=8 --set snapshot=0 --set snapshot_prefix=end
run 2 train --solver=solver.prototxt --run_dir= --set max_iter=8 --set snapshot=0 --set snapshot_prefix=end \
  --snapshot=end_iter_8.solverstate
check a_resume_at_the_end_ends_with_0 "$codes: $(last_lines)" [ "$codes" = "0 0" ]

# A training of 4 epochs of 200 images has 4 epochs, whatever the number of processes: 100, 50 or 25 iterations.
sed 's/max_iter: 24/max_epochs: 4/; s/snapshot: 12/snapshot_epochs: 1/' solver.prototxt >epochs.prototxt
epochs=(train --solver=epochs.prototxt --run_dir= --set snapshot_prefix=epochs)
run 2 "${epochs[@]}"
check epochs_of_two_processes "$(ls)" [ -e epochs_iter_100.solverstate ]
run 4 "${epochs[@]}" --snapshot=epochs_iter_50.solverstate
check epochs_with_more_processes "$codes: $(last_lines)" has_line out.0 'Snapshotting to binary proto file epochs_iter_75.caffemodel'
run 1 "${epochs[@]}" --snapshot=epochs_iter_50.solverstate
check epochs_with_fewer_processes "$codes: $(last_lines)" has_line out.0 'Snapshotting to binary proto file epochs_iter_150.caffemodel'

# Weights that are not finite end all, though only the first process writes them.
sed "s/base_lr: 0.01/base_lr: 1e38 best { metric: 'accuracy' mode: MAX } divergence { }/" solver.prototxt >bad.prototxt
run 2 train --solver=bad.prototxt --run_dir= --set test_interval=1 --set test_initialization=false --set snapshot_prefix=bad
check bad_best_weights_end_all "$codes: $(last_lines)" [ "$codes" = "4 4" ]

# Stops and losses, in a run without an end.
long() { start 3 train --solver=solver.prototxt --set max_iter=1000000000 --set snapshot=0 --set test_interval=1000 --set display=100 "$@"; wait_for 20 has_line out.0 'Iteration 100 '; }
rm -rf w_*
long && kill -TERM "${pids[1]}"
await
check a_signal_to_one_stops_all "$codes: $(last_lines)" [ "$codes" = "143 143 143" ]
check one_snapshot_is_written "$(ls)" [ "$(ls w_iter_*.solverstate | wc -l)" = 1 ]
rm -rf w_*
for elastic in "" --elastic=1; do
  mkdir folder
  long --set "snapshot_prefix='folder/w'" --run_dir= $elastic && mv folder gone && kill -TERM "${pids[1]}"
  await
  check "a_snapshot_that_cannot_be_written_ends_all$elastic" "$codes: $(last_lines)" [ "$codes" = "3 3 3" ]
  check "the_rank_that_cannot_write_is_named$elastic" "$(cat out.1)" has_line out.1 'rank 0 on .*: cannot write folder/w'
  rm -rf gone
done
for lost in 2 0; do
  long && kill -KILL "${pids[lost]}"
  await
  expected=(7 7 7) && expected[lost]=137
  check "the_loss_of_rank_${lost}_ends_with_7" "$codes: $(last_lines)" [ "$codes" = "${expected[*]}" ]
  check "the_loss_of_rank_${lost}_is_named" "$(cat out.1)" has_line out.1 "rank $lost on .* is lost"
  state=$(ls w_iter_*.solverstate)
  check "the_loss_of_rank_${lost}_leaves_a_snapshot" "$(cat out.*)" grep -qh "resume with --snapshot=$state" out.0 out.1
  run 2 train --solver=solver.prototxt --snapshot="$state" --run_dir= --set max_iter=$((${state//[^0-9]/} + 3)) --set snapshot_prefix=again
  check "fewer_go_on_after_the_loss_of_rank_$lost" "$codes: $(last_lines)" [ "$codes" = "0 0" ]
  check "the_change_is_named_$lost" "" has_line out.0 'The snapshot is of a training on 3 devices, this one has 2'
  rm -rf w_* again_*
done
long --set snapshot=1 --set keep_snapshots=2 && kill -KILL "${pids[2]}"
await
state=$(ls w_iter_*.solverstate | sort -t _ -k 3 -n | tail -n 1)
check a_loss_in_a_snapshot_leaves_one "$state, $(last_lines)" has_line out.0 "ends at iteration ${state//[^0-9]/}; resume with --snapshot=$state"
rm -rf w_*
long && kill -STOP "${pids[1]}"
wait_for 30 has_line out.2 'is lost: nothing was heard from it' || true
kill -KILL "${pids[1]}"
await
check a_hanging_rank_is_noticed "$codes: $(last_lines)" [ "$codes" = "7 137 7" ]
rm -rf w_*

# One that hangs and wakes up does not continue alone, and returns at the next snapshot.
TRAINER_MEETING_SECONDS=10 long --elastic=2 --set snapshot=500 --set keep_snapshots=2 && kill -STOP "${pids[1]}"
check elastic_goes_on_without_a_hanging_rank "$(last_lines)" wait_for 30 has_line out.0 'The training continues from iteration'
kill -CONT "${pids[1]}"
check a_rank_that_wakes_up_is_cut_off "$(last_lines)" wait_for 20 has_line out.1 'Rank 1 is cut off: the other processes declared this one lost: nothing was heard'
all_again() { [ "$(grep -c '3 processes train together' out.0)" = 2 ]; }
check a_rank_that_wakes_up_comes_back "$(last_lines)" wait_for 30 all_again
kill -TERM "${pids[0]}"
await
check all_stop_after_a_return "$codes: $(last_lines)" [ "$codes" = "143 143 143" ]
rm -rf w_*

# The first one hangs, with the lock of the snapshots.
long --elastic=1 && kill -STOP "${pids[0]}"
check elastic_goes_on_without_a_hanging_first_rank "$(last_lines)" wait_for 40 has_line out.1 'The training continues from iteration'
kill -TERM "${pids[1]}"
kill -KILL "${pids[0]}"
await
check the_rest_of_a_hanging_first_rank_stops "$codes: $(last_lines)" [ "$codes" = "137 143 143" ]
rm -rf w_*

# Too few are left, for certain or perhaps.
for signal in KILL STOP; do
  long --elastic=3 && kill -$signal "${pids[2]}"
  wait_for 40 has_line out.1 'This process ends at iteration'
  kill -KILL "${pids[2]}"
  await
  check "too_few_end_with_7_after_$signal" "$codes: $(last_lines)" [ "$codes" = "7 7 137" ]
  check "too_few_leave_a_snapshot_after_$signal" "$(last_lines)" has_line out.0 "resume with --snapshot=$(ls w_iter_*.solverstate)"
  rm -rf w_*
done

# A signal while rank 0 waits for a rank that hangs.
long --elastic=1 && kill -STOP "${pids[1]}" && kill -KILL "${pids[2]}"
check the_rest_meets_again "$(last_lines)" wait_for 10 has_line out.0 'The remaining processes meet again'
kill -TERM "${pids[0]}"
wait_for 10 has_line out.0 'This process ends at iteration'
kill -KILL "${pids[1]}"
await
check a_signal_in_a_meeting_ends_it "$codes: $(last_lines)" [ "$codes" = "143 137 137" ]
check a_signal_in_a_meeting_leaves_a_snapshot "$(last_lines)" has_line out.0 "resume with --snapshot=$(ls w_iter_*.solverstate)"
rm -rf w_*

# --elastic goes on without the lost, and takes it in again.
long --elastic=1 --set snapshot=500 --set keep_snapshots=2 && kill -KILL "${pids[0]}"
check the_first_one_left_takes_over "$(last_lines)" wait_for 30 has_line out.1 'The training continues from iteration'
rm out.0
RANK=0 WORLD_SIZE=3 LOCAL_RANK=0 LOCAL_WORLD_SIZE=3 "$trainer" train --solver=solver.prototxt --set max_iter=1000000000 \
  --set snapshot=0 --set test_interval=1000 --set display=100 --elastic=1 --set snapshot=500 --set keep_snapshots=2 >out.0 2>&1 &
back=$!
check the_lost_is_taken_in "$(last_lines)" wait_for 60 has_line out.0 '3 processes train together'
kill -TERM "${pids[1]}"
await
wait $back
check elastic_stops_together "$codes $?" [ "$codes" = "137 143 143" ]
check elastic_leaves_a_snapshot "$(ls)" test -n "$(ls w_iter_*.solverstate)"
check elastic_leaves_no_token "$(ls)" test ! -e w.meeting

while ((SECONDS < suspended_at + 12)); do sleep 1; done
kill -CONT $suspended
one_of_two 1 >late.1 2>&1 &
wait $!
code=$?
wait $suspended
code+=" $?"
check a_suspended_meeting_goes_on "$code: $(tail -n 2 late.*)" [ "$code" = "0 0" ]
finish
