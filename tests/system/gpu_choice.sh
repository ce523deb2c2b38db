#!/bin/bash
# Tests the choice of GPUs on a shared machine: --gpu=auto, all and numbers, the locks, device_query, and the messages if no
# GPU can be used. The driver is a fake (tests/fake_driver): a run ends when it would open a GPU.
#
#   tests/system/gpu_choice.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

driver=$(dirname "$trainer")/tests/fake_driver
if [ ! -e "$driver/libcuda.so.1" ]; then
  echo "SKIPPED: this build has no tests"
  finish
  exit
fi
export LD_LIBRARY_PATH=$driver
unset CUDA_VISIBLE_DEVICES
children=()
clean_up() {
  kill -KILL "${children[@]}" 2>/dev/null
  rm -rf "$work" {/run/lock/trainer,/tmp/trainer-gpu-locks}/{GPU,MIG}-"$(printf %08x $$)"-* 2>/dev/null
}
trap clean_up EXIT
chmod 755 "$work"
write_tiny_net net.prototxt

# Unique to this test, so that no other process uses its locks.
uuid() { printf 'GPU-%08x-0000-4000-8000-%012x' $$ "$1"; }
gpu() { echo "uuid=$(uuid "$1"),name=Fake $1${2:+,$2};"; }
timing() { "$trainer" time --model=net.prototxt --iterations=1 "$@"; }

# tells NAME CODE PATTERN COMMAND...: the command ends with this code and writes a line that matches the pattern.
tells() {
  local output code
  output=$("${@:4}" 2>&1)
  code=$?
  if [ $code -eq "$2" ] && grep -qE -- "$3" <<<"$output"; then ok "$1"; else bad "$1" "exit code $code: $output"; fi
}

export FAKE_GPUS
FAKE_GPUS=
tells no_gpu 5 'the driver sees no GPU \(CUDA_VISIBLE_DEVICES may hide them\)\. Run on the CPU with --cpu' timing --gpu=auto
tells no_gpu_named 5 'the driver sees no GPU .*--cpu' timing --gpu=0
FAKE_GPUS=$(gpu 0 used=1024)
tells auto_takes_the_only_one 5 'Use GPU 0 \(Fake 0\), free 79\.0 GiB$' timing --gpu=auto
tells all_of_one 5 'Use GPU 0 \(Fake 0\), free 79\.0 GiB$' timing --gpu=all
FAKE_GPUS=$(gpu 0 used=2048)$(gpu 1 used=1024)
tells most_free_memory 5 'Use GPU 1 ' timing --gpu=auto
FAKE_GPUS=$(gpu 0 used=2048)$(gpu 1 "processes=$$:10")
tells nobody_else_comes_first 5 'Use GPU 0 ' timing --gpu=auto
FAKE_GPUS=$(gpu 0 used=50000)$(gpu 1 "used=1000,processes=$$:10+4194305:20")
tells beside_others_where_none_is_free 5 "Use GPU 1 .*, also used by pid $$ \($(id -un), gpu_choice.sh\), 10\.0 MiB; pid 4194305, 20\.0 MiB" \
  timing --gpu=auto
FAKE_GPUS=$(gpu 0 "used=50000,processes=$$:49000")
tells little_memory_is_not_free 5 "GPU 0 \(Fake 0\): less than half of its memory is free; 48\.8 GiB of 80\.0 GiB used \(pid $$" \
  timing --gpu=auto
tells little_memory_has_a_remedy 5 'Share one with --gpu=N, wait for one, or run on the CPU with --cpu' timing --gpu=auto
tells little_memory_is_shared_by_name 5 'Use GPU 0 ' timing --gpu=0

# Invalid lists of GPUs.
FAKE_GPUS=$(gpu 0)$(gpu 1)
tells several 2 'only trainer train runs on several GPUs, but --gpu=0,1 names 2: name one' timing --gpu=0,1
tells all_of_several 2 'only trainer train runs on several GPUs, but --gpu=all names 2: name one' timing --gpu=all
tells doubled 2 'GPU 1 is named twice' timing --gpu=1,0,01
tells unset_variable 2 "\"\" is not the number of a GPU; write a number" timing --gpu=
tells out_of_range 5 'there is no GPU 2: the driver sees 2' timing --gpu=2
for junk in x 0x 1.5 -1 0, ,0 '0 1' 12345678901234567890 Auto; do
  tells "junk '$junk'" 2 'is not the number of a GPU; write a number, several with commas between \(0,1\), all, or auto' timing --gpu="$junk"
done
planning() { "$trainer" summary --model=net.prototxt "$@"; }
tells plan_out_of_range 5 'there is no GPU 2: the driver sees 2' planning --gpu=2
tells plan_of_several 2 'a plan is for one GPU; write its number' planning --gpu=0,1
tells plan_of_any 2 'a plan is for one GPU; write its number' planning --gpu=auto
tells plan_without_gpu 5 'the driver sees no GPU .*--cpu' env FAKE_GPUS= "$trainer" summary --model=net.prototxt --gpu=0
tells planned_only 2 'can be planned for' timing --gpu=sm_90
echo "net: 'net.prototxt' base_lr: 0.1 lr_policy: 'fixed' max_iter: 1 random_seed: 1 snapshot_after_train: false solver_mode: GPU device_id: 1" >solver.prototxt
tells solver_asks 5 'Use GPU 1 \(Fake 1\)' "$trainer" train --solver=solver.prototxt --run_dir=
sed -i 's/device_id: 1/device_id: -1/' solver.prototxt
tells solver_asks_wrongly 5 'there is no GPU -1' "$trainer" train --solver=solver.prototxt --run_dir=
touch weights.caffemodel
features=(extract_features weights.caffemodel net.prototxt ip out.npy 1 npy GPU)
tells features_ask 5 'Use GPU 1 \(Fake 1\)' "$trainer" "${features[@]}" 1
tells features_ask_wrongly 5 'there is no GPU 7' "$trainer" "${features[@]}" 7

# CUDA_VISIBLE_DEVICES renumbers the GPUs of the driver, but not those of NVML.
FAKE_GPUS=$(gpu 0 used=1024)$(gpu 1 used=2048)
tells hidden_by_number 5 'Use GPU 0 \(Fake 1\), free 78\.0 GiB' env CUDA_VISIBLE_DEVICES=1 "$trainer" time --model=net.prototxt --gpu=auto
tells hidden_by_uuid 5 'Use GPU 0 \(Fake 1\), free 78\.0 GiB' env CUDA_VISIBLE_DEVICES="$(uuid 1)" "$trainer" time --model=net.prototxt --gpu=0
tells order_by_variable 5 'Use GPU 1 \(Fake 0\), free 79\.0 GiB' env CUDA_VISIBLE_DEVICES=1,0 "$trainer" time --model=net.prototxt --gpu=auto
tells out_of_the_visible 5 'there is no GPU 1: the driver sees 1' env CUDA_VISIBLE_DEVICES=1 "$trainer" time --model=net.prototxt --gpu=1
tells all_hidden 5 'CUDA_VISIBLE_DEVICES may hide them' env CUDA_VISIBLE_DEVICES=-1 "$trainer" time --model=net.prototxt --gpu=auto

# start NAME COMMAND...: a run that holds its GPU and blocks at its first line: its output is a full pipe, and the reader of
# the pipe sleeps.
declare -A run reader
start() {
  mkfifo "$1"
  (kill -STOP $BASHPID; exec tr -d '\0') <"$1" >"$1.log" &
  reader[$1]=$!
  (head -c 65536 /dev/zero; exec "${@:2}") >"$1" 2>&1 &
  run[$1]=$!
  children+=("${run[$1]}" "${reader[$1]}")
}
# end NAME: lets the run continue to its end; returns its exit code.
end() {
  local code
  kill -CONT "${reader[$1]}"
  wait "${run[$1]}"
  code=$?
  wait "${reader[$1]}"
  return $code
}
locks=/run/lock/trainer
[ -d $locks ] || locks=/tmp/trainer-gpu-locks
# held_by NAME: the number of the GPU whose lock the run holds.
held_by() {
  local i
  for i in 0 1 2 3; do
    [ "$(head -n 1 "$locks/$(uuid $i)" 2>/dev/null)" = "${run[$1]}" ] && ! flock -n "$locks/$(uuid $i)" true && echo $i && return
  done
  return 1
}
holds() { held_by "$1" >/dev/null; }
automatic=("$trainer" time --model=net.prototxt --iterations=1 --gpu=auto)

for name in a b c; do start $name "${automatic[@]}"; done
two_hold() { [ "$( (held_by a; held_by b; held_by c) | xargs)" != "" ] && [ "$( (held_by a; held_by b; held_by c) | sort -u | xargs)" = "0 1" ]; }
check two_of_three_take_one_each "$( (held_by a; held_by b; held_by c) | xargs)" wait_for 20 two_hold
for name in a b c; do holds $name || refused=$name; done
end "$refused"
check third_is_refused "exit code $?: $(cat "$refused.log")" grep -q 'no GPU is free:' "$refused.log"
holders=()
for name in a b c; do [ $name = "$refused" ] || holders[$(held_by $name)]=$name; done
for i in 0 1; do
  check "holder_$i is told" "$(cat "$refused.log")" \
    grep -qE "GPU $i \(Fake $i\): held by pid ${run[${holders[i]}]} \($(id -un)\): .*trainer time --model=net.prototxt .*; .* of 80\.0 GiB used" "$refused.log"
done
tells a_fourth_is_refused 5 "held by pid ${run[${holders[0]}]}" timing --gpu=auto
tells named_and_held_warns 5 "GPU 0 is in use by another run, pid ${run[${holders[0]}]} \($(id -un)\): .*trainer time" timing --gpu=0
tells named_and_held_goes_on 5 'Use GPU 0 ' timing --gpu=0
tells query_tells_the_holder 0 "^Lock: +held by pid ${run[${holders[1]}]} \($(id -un)\): .*trainer time" "$trainer" device_query
kill -KILL "${run[${holders[0]}]}"
wait "${run[${holders[0]}]}" 2>/dev/null
kill -CONT "${reader[${holders[0]}]}" && wait "${reader[${holders[0]}]}"
tells killed_holder_releases 5 'Use GPU 0 ' timing --gpu=auto
end "${holders[1]}"
tells ended_holder_releases 5 'Use GPU 1 ' env CUDA_VISIBLE_DEVICES=1,1 "$trainer" time --model=net.prototxt --gpu=1
check log_of_the_holder "$(cat "${holders[1]}.log")" grep -q 'Use GPU 1 (Fake 1)' "${holders[1]}.log"

# hold_first: starts a process that holds the lock of GPU 0 and does not write to its file.
hold_first() {
  (exec 9>>"$locks/$(uuid 0)"; flock 9; exec sleep 600 >/dev/null 2>&1) &
  children+=($!)
  wait_for 20 eval '! flock -n "$locks/$(uuid 0)" true'
}
# A GPU given by number is locked too; a lock without a name counts.
start d "$trainer" time --model=net.prototxt --iterations=1 --gpu=1
check named_is_locked "$(cat "$locks/$(uuid 1)")" wait_for 20 holds d
tells auto_passes_over_a_named_one 5 'Use GPU 0 ' timing --gpu=auto
end d
hold_first
tells any_lock_counts 5 'Use GPU 1 ' timing --gpu=auto
kill $! && wait $! 2>/dev/null

# Files of other users: escape sequences are printed as text, links are not followed.
printf '1\nx\033[31m\n\033]0;x\007\n' >"$locks/$(uuid 0)"
hold_first
tells no_escapes 5 'pid 1 \(x\\x1b\[31m\): \\x1b\]0;x\\x07' timing --gpu=0
kill $! && wait $! 2>/dev/null
head -c 100000 /dev/zero >"$locks/$(uuid 0)"
tells any_content 5 'Use GPU 0 ' timing --gpu=auto
echo precious >precious
rm "$locks/$(uuid 0)" && ln -s "$work/precious" "$locks/$(uuid 0)"
tells link_is_passed_over 5 'Use GPU 1 ' timing --gpu=auto
tells link_is_told 5 'GPU 0 cannot be locked, so other runs may take it too: .*symbolic links' timing --gpu=0
tells link_at_the_query 0 '^Lock: +cannot be used: ' "$trainer" device_query
rm "$locks/$(uuid 0)" && ln "$work/precious" "$locks/$(uuid 0)" 2>/dev/null &&
  tells hard_link_is_passed_over 5 'Use GPU 1 ' timing --gpu=auto
rm -f "$locks/$(uuid 0)" && mkfifo "$locks/$(uuid 0)"
tells pipe_is_passed_over 5 'Use GPU 1 ' timing --gpu=auto
check links_are_not_written "$(cat precious)" [ "$(cat precious)" = precious ]
rm "$locks/$(uuid 0)"

# Locks are open to all users, whatever the umask.
(umask 077 && timing --gpu=0 >/dev/null 2>&1)
mode=$(stat -c '%a %a' "$locks" "$locks/$(uuid 0)" | cut -d' ' -f1 | xargs)
check modes "$mode" [ "$mode" = '1777 666' ]
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups "$trainer" --version >/dev/null 2>&1; then
  other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  start e "${automatic[@]}"
  wait_for 20 holds e
  tells other_user_sees_the_lock 5 'Use GPU 1 ' "${other[@]}" "${automatic[@]}"
  tells other_user_sees_the_holder 5 "in use by another run, pid ${run[e]} \(root\): " "${other[@]}" "$trainer" time --model=net.prototxt --gpu=0
  end e
  start f "${other[@]}" "${automatic[@]}"
  wait_for 20 holds f
  tells root_sees_the_others_lock 5 "in use by another run, pid ${run[f]} \($(id -un 65534)\): " timing --gpu=0
  end f
fi

# The folder of the locks, in a mount namespace whose /run/lock and /tmp are folders of this test. Relative paths still
# start here.
separate=(unshare --mount)
"${separate[@]}" true 2>/dev/null || separate+=(--map-root-user)
mkdir run tmp target build
# in_own_root OPTION COMMAND...: runs the command with /run/lock mounted with this option. A build folder below /tmp stays
# visible.
in_own_root() {
  BUILD=$(dirname "$trainer") "${separate[@]}" sh -c 'mount --bind run /run/lock && mount -o remount,bind,$0 /run/lock &&
    mount --bind "$BUILD" build && mount --bind tmp /tmp &&
    { [ -e "$BUILD/trainer" ] || { mkdir -p "$BUILD" && mount -c --bind build "$BUILD"; }; } && exec "$@"' "$@"
}
if in_own_root rw true 2>/dev/null; then
  tells folder_is_made 5 'Use GPU 0 ' in_own_root rw "${automatic[@]}"
  check folder_in_run_lock "$(find run tmp)" [ -f "run/trainer/$(uuid 0)" -a ! -e tmp/trainer-gpu-locks ]
  rm -r run/trainer
  tells other_folder_is_made 5 'Use GPU 0 ' in_own_root ro "${automatic[@]}"
  check folder_in_tmp "$(find run tmp)" [ -f "tmp/trainer-gpu-locks/$(uuid 0)" -a "$(stat -c %a tmp/trainer-gpu-locks)" = 1777 ]
  rm "tmp/trainer-gpu-locks/$(uuid 0)"
  tells folder_that_is_there 5 'Use GPU 0 ' in_own_root rw "${automatic[@]}"
  check runs_meet_in_the_folder_that_is_there "$(find run tmp)" [ -f "tmp/trainer-gpu-locks/$(uuid 0)" -a ! -e run/trainer ]
  rm -r tmp/trainer-gpu-locks && ln -s "$work/target" tmp/trainer-gpu-locks
  tells folder_is_no_link 5 'GPU 0 \(Fake 0\): it cannot be locked: there is no folder for locks \(/run/lock/trainer: Read-only file system; /tmp/trainer-gpu-locks: Not a directory\)' in_own_root ro "${automatic[@]}"
  tells named_goes_on_without_a_lock 5 'Use GPU 0 ' in_own_root ro "$trainer" time --model=net.prototxt --gpu=0
  check link_of_a_folder_is_not_followed "$(ls target)" [ -z "$(ls target)" ]
else
  echo "SKIPPED: folders of locks, for which this user may not mount"
fi

# The output of device_query.
FAKE_GPUS=$(gpu 0 "used=2048,processes=$$:1024")$(gpu 1 capability=6.1)$(gpu 2 mode=2)
query() { "$trainer" device_query "$@"; }
tells query_id 0 '^Device id:                     2$' query
tells query_capability 0 '^Major revision number:         9$' query
tells query_name 0 '^Name:                          Fake 0$' query
tells query_memory 0 '^Total global memory:           85899345920$' query
tells query_property 0 '^Number of multiprocessors:     16$' query
tells query_driver 0 "^Driver's version:              580\.65\.06$" query
tells query_cuda 0 "^Driver's CUDA version:         13\.0$" query
tells query_uuid 0 "^UUID:                          $(uuid 0)$" query
tells query_used 0 '^Memory used:                   2\.0 GiB$' query
tells query_free 0 '^Memory free:                   78\.0 GiB$' query
tells query_process 0 "^Compute process:               pid $$ \($(id -un), gpu_choice.sh\), 1\.0 GiB$" query
tells query_no_process 0 '^Compute processes:             none$' query --gpu=1
tells query_lock 0 '^Lock:                          free$' query
tells query_old_gpu 0 '^Can compute: +no: its compute capability is 6\.1; CUDA 13 needs 7\.5' query --gpu=1
tells query_prohibited 0 '^Can compute: +no: its compute mode is prohibited' query --gpu=2
mkdir alone && cp "$trainer" "$(dirname "$trainer")/libtrainer.so.0" alone
tells query_no_plugin 0 '^Can compute: +no: this installation has no CUDA device' alone/trainer device_query --gpu=0
tells query_out_of_range 5 'there is no GPU 3: the driver sees 3' query --gpu=3
tells query_doubled 2 'GPU 1 is named twice' query --gpu=1,1
tells query_junk 2 "is not the number of a GPU" query --gpu=x
tells query_auto 2 'write all, or the numbers' query --gpu=auto
shown=$(query --gpu=2,0 2>&1 | sed -n 's/^Device id: *//p' | xargs)
check query_shows_what_is_asked_for "$shown" [ "$shown" = '2 0' ]
made=$(FAKE_GPUS=$(gpu 9) query | grep -c '^Lock: *free$'; ls "$locks/$(uuid 9)" 2>/dev/null)
check query_makes_no_file "$made" [ "$made" = 1 ]
tells old_gpu_and_prohibited_are_passed_over 5 'Use GPU 0 ' timing --gpu=auto
tells old_gpu_is_refused 5 'GPU 1 \(Fake 1\): its compute capability is 6\.1.*--cpu' timing --gpu=1
tells prohibited_is_refused 5 'GPU 2 \(Fake 2\): its compute mode is prohibited.*--cpu' timing --gpu=2
FAKE_GPUS=$(gpu 1 capability=6.1)
tells only_old_gpus 5 '^Run on the CPU with --cpu ' timing --gpu=auto
FAKE_GPUS=$(gpu 1 capability=6.1)$(gpu 2 "mode=3,processes=$$:1")
tells exclusive_with_a_process_is_not_free 5 'GPU 1 \(Fake 2\): its compute mode allows one process' timing --gpu=auto
FAKE_GPUS="uuid=MIG-$(uuid 0 | cut -c 5-),name=Fake MIG 1g.5gb,memory=5000,used=100;"
tells part_of_a_gpu 5 'Use GPU 0 \(Fake MIG 1g\.5gb\), free 4\.8 GiB' timing --gpu=auto

# Unusable drivers.
FAKE_GPUS=$(gpu 0)
for flag in auto 0; do
  tells "old_driver $flag" 5 'the NVIDIA driver is too old: it supports CUDA 12\.8, and 13\.0 is needed\. Run on the CPU with --cpu' env FAKE_CUDA_VERSION=12080 "$trainer" time --model=net.prototxt --gpu=$flag
  tells "stub $flag" 5 "the toolkit's stub, not a driver: remove its folder from LD_LIBRARY_PATH\. Run on the CPU with --cpu" \
    env FAKE_CUDA_INIT=34 "$trainer" time --model=net.prototxt --gpu=$flag
  tells "failing $flag" 5 'the NVIDIA driver returns error 999\. Run on the CPU with --cpu' env FAKE_CUDA_INIT=999 "$trainer" time --model=net.prototxt --gpu=$flag
done
mkdir broken empty && echo none >broken/libcuda.so.1
touch empty/libcuda.so.1
for folder in broken empty; do
  tells "no_driver $folder" 5 'no NVIDIA driver \(.*\)\. Run on the CPU with --cpu' env LD_LIBRARY_PATH=$folder "$trainer" time --model=net.prototxt --gpu=auto
done
tells query_no_driver 0 '^No NVIDIA GPU can be used: no NVIDIA driver' env LD_LIBRARY_PATH=broken "$trainer" device_query
tells query_no_driver_named 5 'no NVIDIA GPU can be used: no NVIDIA driver' env LD_LIBRARY_PATH=broken "$trainer" device_query --gpu=0
tells query_old_driver 0 '^Can compute: +no: the NVIDIA driver is too old' env FAKE_CUDA_VERSION=12080 "$trainer" device_query
if [ -e "$(dirname "$trainer")/libtrainer_cuda.so" ]; then
  tells runtime_of_the_plugin 5 '^trainer: error: ' timing --gpu=0
  tells query_opens_the_libraries 0 '^Can compute: +(yes|no: .* cannot be opened)' "$trainer" device_query
fi
tells cpu_goes_on 0 'Average Forward-Backward' env LD_LIBRARY_PATH=broken "$trainer" time --model=net.prototxt --iterations=1 --cpu

# With an emulated GPU, the run computes on the GPU that it took.
emulated=$(dirname "$trainer")/tests/trainer
if [ -x "$emulated" ]; then
  tells runs_on_the_gpu_taken 0 'Average Forward-Backward' env XDG_CACHE_HOME="$work" TRAINER_CUDA_LIBRARIES="$(dirname "$emulated")/emulated_gpu/lib" \
    "$emulated" time --model=net.prototxt --iterations=1 --gpu=auto
  FAKE_GPUS=$(gpu 0)$(gpu 1)
  for list in all 1,0; do
    tells "trains_on_several $list" 0 'Use GPU 1 \(Fake 1\)' env XDG_CACHE_HOME="$work" EMULATED_GPUS=2 \
      TRAINER_CUDA_LIBRARIES="$(dirname "$emulated")/emulated_gpu/lib" "$emulated" train --solver=solver.prototxt --run_dir= --gpu=$list
  done
fi

# Without NVML, or if it does not answer, only the locks decide.
mkdir no_nvml && ln -s "$driver/libcuda.so.1" no_nvml/libcuda.so.1 && echo none >no_nvml/libnvidia-ml.so.1
FAKE_GPUS=$(gpu 0 used=50000)$(gpu 1)
tells no_nvml 5 'Use GPU 0 \(Fake 0\)$' env LD_LIBRARY_PATH=no_nvml "${automatic[@]}"
tells nvml_refuses 5 'Use GPU 0 \(Fake 0\)$' env FAKE_NVML_INIT=4 "${automatic[@]}"
tells query_no_nvml 0 '^Memory used: +unknown: .*libnvidia-ml' env LD_LIBRARY_PATH=no_nvml "$trainer" device_query
tells query_nvml_refuses 0 '^Memory used: +unknown: .* different versions' env FAKE_NVML_INIT=18 "$trainer" device_query
finish
