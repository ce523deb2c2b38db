#!/bin/bash
# Tests system limits: too little address space, too few threads, the memory of a control group. Each ends the program with
# code 5 and a message.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net net.prototxt
write_solver solver.prototxt "max_iter: 2 display: 1 snapshot_after_train: false"
said() { grep -q "$1" log; }
# ends_with CODE COMMAND...: the command ends with this code within 60 seconds.
ends_with() {
  local code=$1
  shift
  timeout 60 "$@" >log 2>&1
  [ $? = "$code" ]
}
train() { "$trainer" train --solver=solver.prototxt --run_dir=; }
export -f train
export trainer

# OpenBLAS allocates 128 MiB per thread when it is loaded, and retries for ever if that fails. Below the first limit the
# loader itself ends the program.
with_address_space() { (ulimit -v "$1" && OMP_NUM_THREADS=1 exec timeout 20 "$trainer" "${@:2}" >log 2>&1); }
hangs=0 refused=0
for kib in 60000 100000 125000 150000 200000 250000 280000 300000 350000 400000; do
  with_address_space $kib help
  code=$?
  [ $code != 124 ] || hangs=$((hangs + 1))
  if [ $code = 5 ] && said 'OpenBLAS takes 128 MiB for each thread' && said 'ulimit -v'; then refused=$((refused + 1)); fi
done
check no_limit_of_address_space_hangs "$hangs hang" [ $hangs = 0 ]
check a_limit_of_address_space_is_named "never" [ $refused -gt 0 ]
check enough_address_space_is_enough "$(tail -n 1 log)" with_address_space 1000000 help
needs_two_threads() { [ "$(nproc)" -ge 2 ]; }
if needs_two_threads; then
  (ulimit -v 300000 && OMP_NUM_THREADS=2 exec timeout 20 "$trainer" help >log 2>&1)
  check each_thread_counts "exit code $?" said 'OpenBLAS takes 128 MiB for each thread'
fi

check stacks_too_large "$(tail -n 1 log)" ends_with 5 env OMP_NUM_THREADS=2 OMP_STACKSIZE=100000G bash -c train
check stacks_too_large_are_named "$(tail -n 1 log)" said 'OMP_STACKSIZE'

# Needs root, to switch to a user without processes; root itself has no limit.
if [ $EUID = 0 ] && chmod 755 "$work" && setpriv --reuid 4242 --clear-groups test -x "$trainer" -a -r net.prototxt; then
  for processes in 1 2 3; do
    check "processes_$processes" "$(tail -n 1 log)" ends_with 5 env OMP_NUM_THREADS=4 \
      setpriv --reuid 4242 --clear-groups prlimit --nproc=$processes bash -c 'exec "$trainer" train --solver=solver.prototxt --run_dir='
    check "processes_${processes}_are_named" "$(tail -n 1 log)" said 'ulimit -u'
  done
fi

check too_many_threads "$(tail -n 1 log)" ends_with 0 env OMP_NUM_THREADS=$(($(nproc) * 3)) bash -c train
check too_many_threads_give_a_warning "$(cat log)" said "OMP_NUM_THREADS=$(($(nproc) * 3)) starts"

# A control group of 300 MiB (version 1, if this user can create one); the net needs 240 MB for weights, and the same for
# gradients and for history.
parent=/sys/fs/cgroup/memory$(awk -F: '$2 == "memory" { print $3 }' /proc/self/cgroup)
group=$parent/trainer_limits_$$
if [ -w "$parent" ] && mkdir "$group" 2>/dev/null; then
  trap 'rm -rf "$work"; rmdir "$group"' EXIT
  echo 300M >"$group/memory.limit_in_bytes"
  sed 's/dim: 4 dim: 2 dim: 6 dim: 6/dim: 4 dim: 2 dim: 100 dim: 100/; s/num_output: 3 /num_output: 1500 /' net.prototxt >large.prototxt
  sed 's/net.prototxt/large.prototxt/' solver.prototxt >large_solver.prototxt
  check group_of_300_MiB "$(tail -n 1 log)" ends_with 5 bash -c \
    "echo \$\$ >$group/cgroup.procs && exec $trainer train --solver=large_solver.prototxt --run_dir="
  check group_of_300_MiB_is_named "$(tail -n 1 log)" said 'not enough memory on'
  check group_of_300_MiB_runs_what_fits "$(tail -n 1 log)" ends_with 0 bash -c \
    "echo \$\$ >$group/cgroup.procs && exec $trainer train --solver=solver.prototxt --run_dir="
fi
finish
