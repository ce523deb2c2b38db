#!/bin/bash
# Trains and tests in several processes that Open MPI, MPICH, torchrun, Slurm and trainer launch start on this host. What is
# not installed is skipped. Slurm gets three nodes of its own, with daemons, ports and files that end with the script. Words
# after the program choose launchers.
names=("${@:2}")
[ $# -gt 1 ] || names=(launch openmpi mpich torchrun slurm)
source "$(dirname "${BASH_SOURCE[0]}")/../system/checks.bash"
for variable in $(compgen -e | grep -E '^(RANK|WORLD_SIZE|LOCAL_|MASTER_|TRAINER_|TORCHELASTIC_|OMPI_|PMIX?_|MPI_|SLURM_)'); do
  unset "$variable"
done
source "$source_folder/tests/system/ranks.bash"
export TRAINER_MEETING_SECONDS=60
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

daemons=()
end_all() {
  local process
  for process in $(rank_processes) "${daemons[@]}"; do kill -KILL "$process" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap end_all EXIT
trap 'exit 143' TERM

# The launchers: each starts N processes of trainer with these words, in the place of the shell. Each marks the lines of a
# rank: label_NAME is the mark of rank R, others_NAME matches the marks of the ranks after 0. rank_NAME is the variable with
# the rank.
openmpi() { exec mpirun.openmpi --oversubscribe --bind-to none --tag-output -n "$1" "$trainer" "${@:2}"; }
label_openmpi='^\[[0-9]*,0\]<[a-z]*>:' others_openmpi='^\[[0-9]*,[1-9]\]<' rank_openmpi=OMPI_COMM_WORLD_RANK
mpich() { exec mpirun.mpich -prepend-rank -n "$1" "$trainer" "${@:2}"; }
label_mpich='^\[0\] ' others_mpich='^\[[1-9]\] ' rank_mpich=PMI_RANK
torchrun() {
  exec env torchrun --nnodes=1 --nproc-per-node="$1" --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:0 --local-addr=127.0.0.1 \
    --tee=3 --log-dir="$work/torchrun" --no-python "$trainer" "${@:2}"
}
label_torchrun='^\[[a-z]*0\]:' others_torchrun='^\[[a-z]*[1-9]\]:' rank_torchrun=RANK
slurm() { exec srun --no-kill --wait=0 -N "$1" -n "$1" --label "$trainer" "${@:2}"; }
label_slurm='^0: ' others_slurm='^[1-9]: ' rank_slurm=SLURM_PROCID
launch() { exec "$trainer" launch --hosts="localhost:$1" -- "${@:2}"; }
label_launch='^' others_launch='^\[rank [1-9] on localhost\] ' rank_launch=RANK

# start NAME N WORD...: its output is in out and errors. await SECONDS: sets code.
start() {
  rm -f out errors
  "$@" >out 2>errors </dev/null &
  pid=$!
}
ended() { ! kill -0 "$pid" 2>/dev/null; }
await() {
  if wait_for "$1" ended; then
    wait "$pid" 2>/dev/null
    code=$?
  else
    code="none after $1 s"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    kill -KILL $(rank_processes) 2>/dev/null
  fi
}
run() { start "$@"; await 240; }
says() { cat out errors | grep -q "$1"; }
last_lines() { echo "$code: $(cat out errors | grep -v '^ *$' | tail -n 8 | cut -c 1-300)"; }

# rank_processes [VARIABLE=R]: the processes of trainer in this folder that a launcher started.
rank_processes() {
  local folder
  for folder in /proc/[0-9]*; do
    [ "$(readlink "$folder/cwd")" = "$work" ] && [ "$(readlink "$folder/exe")" = "$trainer" ] &&
      tr '\0' '\n' 2>/dev/null <"$folder/environ" | grep -qE "^${1:-(RANK|OMPI_COMM_WORLD_RANK|PMI_RANK|SLURM_PROCID)=}" &&
      echo "${folder#/proc/}"
  done 2>/dev/null
}
no_rank_is_left() { [ -z "$(rank_processes)" ]; }

# long NAME [WORD...]: a training of three ranks without an end, at iteration 300 or later.
long() {
  rm -rf w_*
  start "$1" 3 train --solver=solver.prototxt --set max_iter=1000000000 --set test_interval=1000 --set display=100 \
    --set snapshot=200 --set keep_snapshots=3 "${@:2}"
  wait_for 180 says 'Iteration 300 '
}
newest_snapshot() { ls w_iter_*.solverstate 2>/dev/null | sort -t _ -k 3 -n | tail -n 1; }
# continues STATE: one process trains three more iterations from it.
continues() {
  local iteration=${1//[^0-9]/}
  "$trainer" train --solver=solver.prototxt --snapshot="$1" --run_dir= --set snapshot_prefix=again --set test_interval=1000 \
    --set max_iter=$((iteration + 3)) >log 2>&1 && [ -e "again_iter_$((iteration + 3)).caffemodel" ]
}

# try_launcher NAME WORD_OF_THE_START
try_launcher() {
  local name=$1 label=label_$1 others=others_$1 variable=rank_$1 state
  echo "$name"
  rm -rf w_* again_*
  run "$name" 3 train --solver=solver.prototxt
  check "${name}_ends_with_0" "$(last_lines)" [ "$code" = 0 ]
  check "${name}_trains_what_one_does" "$(last_lines)" close w_iter_24.caffemodel one_iter_24.caffemodel
  check "${name}_shows_3_processes" "$(last_lines)" says "${!label}.*3 processes train together"
  check "${name}_shows_rank_0_only" "$(grep -hE "${!others}" out errors | head -n 3)" eval '! says "${!others}"'
  run "$name" 3 test --model=net.prototxt --weights=one_iter_24.caffemodel --json
  sed "s/${!label}//" out | sed -n '/^{/,/^}/p' >several.json
  check "${name}_tests_with_0" "$(last_lines)" [ "$code" = 0 ]
  check "${name}_tests_as_one" "$(diff one.json several.json | head -n 5)" cmp -s one.json several.json

  check "${name}_trains_long" "$(last_lines)" long "$name"
  kill -KILL $(rank_processes "${!variable}=1$")
  await 60
  check "${name}_ends_after_a_loss" "$(last_lines)" eval '[ "$code" -gt 0 ] 2>/dev/null'
  check "${name}_leaves_no_process_after_a_loss" "$(rank_processes)" wait_for 20 no_rank_is_left
  state=$(newest_snapshot)
  check "${name}_goes_on_after_a_loss" "${state:-no snapshot} $(tail -n 3 log)" continues "${state:-none}"
  case $name in
    slurm | launch)
      check "${name}_ends_with_the_code_of_the_lost" "$(last_lines)" [ "$code" = 137 ]
      check "${name}_writes_a_snapshot_after_a_loss" "$(last_lines)" says "resume with --snapshot=$state"
      ;;
    *)
      run "$name" 3 train --solver=solver.prototxt --elastic=1
      check "${name}_refuses_elastic" "$(last_lines)" says "elastic cannot work under $2, which ends all processes"
      check "${name}_ends_with_an_error" "$code" eval '[ "$code" -gt 0 ] 2>/dev/null'
      ;;
  esac
}

# The port of this machine, if nothing listens on it.
free_port() { ! (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Starts munged, slurmctld and three slurmd, with everything in the folder slurm. Their logs are there.
start_slurm() {
  mkdir -p slurm/state slurm/n1 slurm/n2 slurm/n3
  chmod 755 . slurm
  local port host tries=0 node
  until port=$((RANDOM % 9000 + 20000)) && free_port $port && free_port $((port + 1)) && free_port $((port + 2)) &&
    free_port $((port + 3)); do
    ((tries++ < 20)) || return
  done
  host=$(hostname -s)
  head -c 128 /dev/urandom >slurm/key && chmod 400 slurm/key
  cat >slurm/slurm.conf <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$work/slurm/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/%n
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/%n.pid
SlurmctldLogFile=$work/slurm/slurmctld.log
SlurmdLogFile=$work/slurm/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 State=UNKNOWN
NodeName=n3 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=2 State=UNKNOWN
PartitionName=all Nodes=n1,n2,n3 Default=YES State=UP OverSubscribe=NO
CONF
  export SLURM_CONF=$work/slurm/slurm.conf
  munged --foreground --force --key-file="$work/slurm/key" --socket="$work/slurm/socket" --pid-file="$work/slurm/munged.pid" \
    --log-file="$work/slurm/munged.log" --seed-file="$work/slurm/seed" >slurm/munged.out 2>&1 &
  daemons+=($!)
  wait_for 20 test -S slurm/socket || return
  slurmctld -D >slurm/slurmctld.out 2>&1 &
  daemons+=($!)
  for node in n1 n2 n3; do
    slurmd -D -N $node >slurm/$node.out 2>&1 &
    daemons+=($!)
  done
  wait_for 60 nodes_are_idle
}
nodes_are_idle() { [ "$(sinfo -h -N -o %T 2>/dev/null | sort | uniq -c | tr -s ' ')" = " 3 idle" ]; }

# job [OPTION...] <SCRIPT: puts it into the queue; sets job to its number. Its output is in job.out.
job() {
  : >job.out
  cat >job.sh
  job=$(sbatch --parsable --output=job.out "$@" job.sh 2>errors) || cat errors
}
job_has_ended() { [ -z "$(squeue -h -j "$job" 2>/dev/null)" ]; }

# Launchers inside a job of Slurm: the innermost counts. The nodes have two tasks each, and Open MPI and MPICH start their
# own helpers by srun.
try_nested() {
  local kind
  job --nodes=2 --ntasks-per-node=2 <<JOB
#!/bin/bash
try() { "\${@:2}" "$trainer" train --solver=solver.prototxt --run_dir= --set snapshot_prefix=\$1 >\$1.out 2>&1; echo "\$1 \$?"; }
try batch
! type -P mpirun.openmpi >/dev/null || try openmpi mpirun.openmpi --bind-to none -n 3
! type -P mpirun.mpich >/dev/null || try mpich mpirun.mpich -n 3
try srun srun
JOB
  check nested_jobs_end "$(cat job.out)" wait_for 200 job_has_ended
  check a_batch_script_trains_alone "$(cat job.out; tail -n 5 batch.out)" eval \
    'has_line job.out "^batch 0" && ! has_line batch.out "processes train together"'
  for kind in openmpi mpich; do
    type -P mpirun.$kind >/dev/null || continue
    check "${kind}_counts_in_a_job" "$(cat job.out; tail -n 5 $kind.out)" eval \
      'has_line job.out "^$kind 0" && has_line $kind.out "3 processes train together"'
    check "${kind}_in_a_job_trains_what_one_does" "" close ${kind}_iter_24.caffemodel one_iter_24.caffemodel
  done
  check srun_counts_in_a_job "$(cat job.out; tail -n 5 srun.out)" eval \
    'has_line job.out "^srun 0" && has_line srun.out "4 processes train together"'
}

# A job that a signal stops continues from its snapshot: the script of docs/several-machines.md, with an end in the second
# start.
try_preemption() {
  rm -rf w_*
  job --nodes=2 --ntasks-per-node=1 --requeue --open-mode=append <<JOB
#!/bin/bash
most=1000000000
state=\$(ls w_iter_*.solverstate 2>/dev/null)
[ -z "\$state" ] || most=\$((\${state//[^0-9]/} + 3))
srun "$trainer" train --solver=solver.prototxt --snapshot=auto --set max_iter=\$most --set test_interval=1000 \\
  --set display=100 --set snapshot=0
code=\$?
echo "code \$code"
if [ \$code -eq 138 ] || [ \$code -eq 7 ]; then scontrol requeue "\$SLURM_JOB_ID"; fi
JOB
  check a_job_trains "$(cat job.out)" wait_for 90 has_line job.out 'Iteration 100 '
  scancel --signal=USR1 "$job"
  check a_signal_ends_with_138 "$(tail -n 8 job.out)" wait_for 60 has_line job.out '^code 138'
  check a_signal_leaves_a_snapshot "$(ls)" test -n "$(newest_snapshot)"
  check the_job_comes_back "$(tail -n 8 job.out)" wait_for 120 has_line job.out '^code 0'
  check the_job_continues "$(tail -n 8 job.out)" has_line job.out 'Restarting iteration\|[Rr]esum'
  wait_for 30 job_has_ended || scancel "$job"
}

# try_elastic NAME CODE: continues without a lost rank, and ends with this code by a signal.
try_elastic() {
  check "$1_trains_elastic" "$(last_lines)" long "$1" --elastic=2
  local variable=rank_$1
  kill -KILL $(rank_processes "${!variable}=2$")
  check "$1_goes_on_without_the_lost" "$(last_lines)" wait_for 60 says 'The training continues from iteration'
  kill -USR1 "$pid"
  await 60
  check "$1_elastic_ends_by_the_signal" "$(last_lines)" says "Snapshotting solver state.*$(newest_snapshot)"
  check "$1_elastic_ends_with_$2" "$(last_lines)" [ "$code" = "$2" ]
  check "$1_elastic_leaves_no_process" "$(rank_processes)" wait_for 20 no_rank_is_left
}

"$trainer" train --solver=solver.prototxt --run_dir= --set iter_size=3 --set snapshot_prefix=one >log 2>&1 || { cat log; exit 1; }
"$trainer" test --model=net.prototxt --weights=one_iter_24.caffemodel --json >one.json 2>/dev/null

# on_path PACKAGE PROGRAM...: says that the launcher is skipped if a program is missing.
on_path() {
  local program
  for program in "${@:2}"; do
    type -P "$program" >/dev/null || { echo "SKIPPED $program: $1 is not installed"; return 1; }
  done
}
PATH=$PATH:/usr/sbin
for name in "${names[@]}"; do
  case $name in
    launch) try_launcher launch; try_elastic launch 138 ;;
    openmpi) on_path openmpi-bin mpirun.openmpi && try_launcher openmpi "Open MPI" ;;
    mpich) on_path mpich mpirun.mpich && try_launcher mpich MPICH ;;
    torchrun) on_path "torch of Python" torchrun && try_launcher torchrun torchrun ;;
    slurm)
      on_path "slurm-wlm or munge" munged slurmctld slurmd srun sbatch || continue
      start_slurm || { bad slurm_starts "$(sinfo 2>&1; tail -n 5 slurm/*.out slurm/*.log)"; continue; }
      try_launcher slurm
      try_elastic slurm 137 # srun's code is that of the lost rank
      try_nested
      try_preemption
      ;;
    *) bad "$name" "no launcher of this name is known" ;;
  esac
done
finish
