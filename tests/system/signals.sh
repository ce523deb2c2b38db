#!/bin/bash
# Tests signals: a training stops at the next safe point with a snapshot that can be resumed; its exit code gives the
# reason.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net net.prototxt
training="max_iter: 2000000000 display: 100"

# start SOLVER FLAG...: starts a training in the background, with the signal handling of a terminal. Sets $pid, $out.
start() {
  local solver=$1
  shift
  rm -rf snap
  mkdir snap
  : >log
  env --default-signal=INT,HUP,TERM,USR1,USR2,XCPU "$trainer" train --solver="$solver" --run_dir= "$@" >>log 2>&1 &
  pid=$!
}
# ends_with CODE: the training ends within 20 seconds with this code.
ends_with() {
  wait_for 20 ended
  ended || kill -9 $pid
  wait $pid
  code=$?
  [ $code = "$1" ]
}
ended() { [ ! -e /proc/$pid ] || grep -qs '^State:.Z' /proc/$pid/status; }
said() { grep -q "$1" log; }
last_state() { find snap -name '*.solverstate' | sort -V | tail -n 1; }
# Whether the last snapshot can be resumed for two more iterations.
goes_on() {
  local state iteration
  state=$(last_state)
  [ -n "$state" ] || return 1
  iteration=${state##*_iter_}
  iteration=${iteration%.solverstate}
  "$trainer" train --solver=solver.prototxt --snapshot="$state" --run_dir= --set max_iter=$((iteration + 2)) \
    --set test_initialization=false --set test_iter=1 --set test_interval=1000000000 >resume_log 2>&1 &&
    [ -e "snap/x_iter_$((iteration + 2)).solverstate" ]
}

write_solver solver.prototxt "$training snapshot_prefix: 'snap/x' test_iter: 1 test_interval: 1000000000 test_initialization: false"
for signal in INT:130 TERM:143 USR1:138 USR2:140 XCPU:152; do
  name=${signal%:*}
  start solver.prototxt
  wait_for 20 said 'Iteration 100\b'
  kill -"$name" $pid
  check "stops_by_SIG$name" "exit code is not ${signal#*:}" ends_with "${signal#*:}"
  [ $name != INT ] || check SIGINT_is_answered "$(tail -n 1 log)" said 'Stopping after this iteration; press Ctrl-C again'
  check "snapshot_of_SIG${name}_goes_on" "$(tail -n 1 resume_log 2>/dev/null)" goes_on
done

has_state() { [ -n "$(last_state)" ]; }
is_running() { ! ended; }

start solver.prototxt
wait_for 20 said 'Iteration 100\b'
kill -HUP $pid
check SIGHUP_writes_a_snapshot "no snapshot after 20 s" wait_for 20 has_state
check SIGHUP_goes_on "the training has ended" is_running
kill -TERM $pid
check SIGHUP_then_SIGTERM_stops "exit code is not 143" ends_with 143

start solver.prototxt --sigint_effect=snapshot --sighup_effect=stop
wait_for 20 said 'Iteration 100\b'
kill -INT $pid
check sigint_effect_snapshot "no snapshot after 20 s" wait_for 20 has_state
kill -HUP $pid
check sighup_effect_stop "exit code is not 129" ends_with 129

start solver.prototxt --sigint_effect=none --sigusr1_effect=none --sigusr2_effect=snapshot
wait_for 20 said 'Iteration 100\b'
kill -INT $pid
kill -USR1 $pid
sleep 0.5
check sigint_effect_none "the training has ended" is_running
kill -USR2 $pid
check sigusr2_effect_snapshot "no snapshot after 20 s" wait_for 20 has_state
kill -TERM $pid
ends_with 143

# A test phase that would never end, after five iterations.
write_solver solver.prototxt "$training snapshot_prefix: 'snap/x' test_iter: 1000000000 test_interval: 5 test_initialization: false"
start solver.prototxt
wait_for 20 said 'Iteration 5, Testing net'
kill -HUP $pid
check SIGHUP_inside_a_test "no snapshot after 20 s" wait_for 20 has_state
kill -INT $pid
check SIGINT_inside_a_test "exit code is not 130" ends_with 130
check snapshot_inside_a_test_is_of_its_iteration "$(ls snap)" [ -e snap/x_iter_5.solverstate ]
check snapshot_inside_a_test_goes_on "$(tail -n 1 resume_log 2>/dev/null)" goes_on

# Ignores SIGHUP, like nohup.
rm -rf snap && mkdir snap && : >log
write_solver solver.prototxt "$training snapshot_prefix: 'snap/x'"
(trap '' HUP; exec "$trainer" train --solver=solver.prototxt --run_dir= >>log 2>&1) &
pid=$!
wait_for 20 said 'Iteration 100\b'
kill -HUP $pid
sleep 0.5
check nohup_goes_on "the training has ended" is_running
check nohup_writes_nothing "$(last_state)" [ -z "$(last_state)" ]
kill -TERM $pid
ends_with 143
finish
