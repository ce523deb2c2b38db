#!/bin/bash
# Tests training in several processes on emulated GPUs (tests/emulated_gpu): the weights are those of one process with the
# same GPUs, each process takes its own GPUs, and when a process is lost the others say so, with a good snapshot.
#
#   tests/system/gpu_processes.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

use_emulated_gpu
host=${FAKE_GPUS#uuid=}
trap 'rm -rf "$work" {/run/lock/trainer,/tmp/trainer-gpu-locks}/"${host%0}"*' EXIT
unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE CUDA_VISIBLE_DEVICES
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
  { printf 'P6 8 8 255\n'; for ((n = 0; n < 48; ++n)); do printf "\\x$(printf %x $((16 + (n * 37 + i * 19) % 230)))abc"; done; } >picture$i.ppm
  echo "picture$i.ppm $((i % 4))"
done >pictures.txt
cat >net.prototxt <<'NET'
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.01 } image_data_param { source: "pictures.txt" batch_size: 2 } }
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.01 } image_data_param { source: "pictures.txt" batch_size: 3 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
NET
cat >solver.prototxt <<'SOLVER'
net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001
display: 1 max_iter: 12 random_seed: 3 test_iter: 5 test_interval: 6 solver_mode: GPU
SOLVER

# on_gpus N COMMAND...: with N emulated GPUs.
on_gpus() {
  local gpus=$FAKE_GPUS n
  for ((n = 1; n < $1; ++n)); do gpus+=";${FAKE_GPUS%0}$n"; done
  FAKE_GPUS=$gpus EMULATED_GPUS=$1 "${@:2}"
}
number=0
# start_together NAME SIZE GPUS WORD...: starts SIZE processes, `pids`, on a host with so many GPUs. The output of each is
# NAME.RANK.
start_together() {
  local name=$1 size=$2 gpus=$3 rank
  shift 3
  number=$((number + 1)) pids=()
  for ((rank = 0; rank < size; ++rank)); do
    RANK=$rank WORLD_SIZE=$size LOCAL_RANK=$rank LOCAL_WORLD_SIZE=$size MASTER_ADDR=127.0.0.1 TRAINER_TOKEN=secret \
      MASTER_PORT=$((20000 + ($$ * 31 + number) % 10000)) on_gpus "$gpus" exec "$emulated" "$@" \
      >"$name.$rank" 2>&1 &
    pids+=($!)
  done
}
# together NAME SIZE GPUS WORD...: the processes train.
together() { start_together "${@:1:3}" train --solver=solver.prototxt --set snapshot_prefix="$1" "${@:4}"; }
# Waits for all processes of `together`; their exit codes come into `codes`.
runs() { kill -0 "$1" 2>/dev/null; }
none_runs() {
  local pid
  for pid in "${pids[@]}"; do
    if runs "$pid"; then return 1; fi
  done
}
wait_for_all() {
  local pid
  codes=()
  wait_for 240 none_runs || kill -9 "${pids[@]}"
  for pid in "${pids[@]}"; do
    wait "$pid"
    codes+=($?)
  done
}

# Numbers: with late and early execution.
compare() { "$trainer" weights compare --tolerance="$3" "$1_iter_12.caffemodel" "$2_iter_12.caffemodel"; } # NAME NAME TOLERANCE
same_weights() { compare "$1" "$2" 2e-5; }
on_gpus 2 "$emulated" train --solver=solver.prototxt --gpu=0,1 --set snapshot_prefix=two >two.0 2>&1
check two_gpus "$(tail -n 3 two.0)" [ $? -eq 0 ]
on_gpus 4 "$emulated" train --solver=solver.prototxt --gpu=all --set snapshot_prefix=four >four.0 2>&1
check four_gpus "$(tail -n 3 four.0)" [ $? -eq 0 ]
together cpus 2 2 --cpu
wait_for_all
check as_two_cpus "$(same_weights two cpus; tail -n 3 cpus.?)" same_weights two cpus
for order in late eager; do
  export EMULATED_GPU_ORDER=$order
  together each_$order 2 2
  wait_for_all
  check "one_gpu_each_$order" "$(same_weights two each_$order; tail -n 3 each_$order.?)" same_weights two each_$order
  together pairs_$order 2 4 --gpu=all
  wait_for_all
  check "two_gpus_each_$order" "$(same_weights four pairs_$order; tail -n 3 pairs_$order.?)" same_weights four pairs_$order
done
unset EMULATED_GPU_ORDER
together rounded_cpus 2 2 --cpu --set gradient_exchange=BF16
wait_for_all
together rounded 2 2 --set gradient_exchange=BF16
wait_for_all
check rounded_as_cpus "$(compare rounded rounded_cpus 1e-3; tail -n 3 rounded.?)" compare rounded rounded_cpus 1e-3
check rounded_is_rounded "$(compare rounded two 1e-5)" test -s rounded_iter_12.caffemodel -a -z "$(compare rounded two 1e-5 >/dev/null && echo same)"
tests_of() { grep -o 'Test net output.*' "$1"; }
check tests_are_the_same "$(diff <(tests_of each_late.0) <(tests_of two.0))" [ "$(tests_of each_late.0 | wc -l)" -ge 4 ]
check devices_are_told "$(grep together pairs_late.0)" grep -q '2 processes train together: .* on each of 4 devices' pairs_late.0
check own_gpus "$(grep 'Use GPU' each_late.0 pairs_late.0)" [ "$(grep -ho 'Use GPU [0-9]' each_late.0 pairs_late.0 | tr -d '\n')" = 'Use GPU 0Use GPU 0Use GPU 1' ]

# test in two processes, each with its own GPU.
scored=(test --model=net.prototxt --weights=two_iter_12.caffemodel --json)
on_gpus 1 "$emulated" "${scored[@]}" --gpu=0 >scores 2>log || cat log
start_together scored 2 2 "${scored[@]}" --gpu=all
wait_for_all
check test_on_own_gpus "${codes[*]}: $(tail -n 3 scored.?)" [ "${codes[*]}" = '0 0' ]
check test_gives_the_same "$(diff scores <(sed -n '/^{/,/^}/p' scored.0))" diff -q scores <(sed -n '/^{/,/^}/p' scored.0)
start_together one_gpu 2 2 "${scored[@]}" --gpu=0
wait_for_all
check test_with_a_shared_gpu "${codes[*]}: $(tail -n 3 one_gpu.?)" [ "${codes[*]}" = '5 5' ]

# Mistakes.
together uneven 2 3 --gpu=all
wait_for_all
check uneven_gpus "${codes[*]}" [ "${codes[0]}" -eq 5 ]
check uneven_gpus_are_told "$(tail -n 3 uneven.?)" grep -q '3 GPUs cannot be divided evenly among 2 processes' uneven.0
together absent 3 2
wait_for_all
check absent_gpu "${codes[*]}" [ "${codes[*]}" = '7 7 5' ]
check absent_gpu_is_told "$(tail -n 3 absent.?)" grep -q 'there is no GPU 2 for process 2 of 3 on this host: the driver sees 2' absent.2
check absent_gpu_is_told_to_others "$(tail -n 3 absent.0)" grep -q 'rank 2 on .* is lost' absent.0
together shared 2 2 --gpu=0
wait_for_all
check shared_gpu "${codes[*]}" [ "${codes[*]}" = '5 5' ]
check shared_gpu_is_told "$(tail -n 3 shared.0)" grep -q 'rank 0 on .* and rank 1 on .* have the same GPU' shared.0

# A process is killed in the middle of an iteration: the other one ends with exit code 7 within seconds. Its snapshot has
# no numbers of the abandoned iteration: the weights are those of another run after the same number of iterations.
has_done() { [ "$(grep -c 'Iteration .*loss' "$1")" -ge "$2" ]; }
iteration_of() { sed 's/.*_iter_\([0-9]*\)\..*/\1/' <<<"$1"; }
for killed in 0 1; do
  left=$((1 - killed)) name=without$killed
  together $name 2 2 --set max_iter=100000 --set display=5
  wait_for 120 has_done $name.0 4
  kill -9 "${pids[killed]}"
  SECONDS=0
  wait_for_all
  check ${name}_exit_code "${codes[*]}: $(tail -n 3 $name.$left)" [ "${codes[left]}" -eq 7 ]
  check ${name}_within_seconds "$SECONDS s" [ $SECONDS -le 30 ]
  check ${name}_is_named "$(tail -n 3 $name.$left)" grep -q "rank $killed on .* is lost" $name.$left
  state=$(ls ${name}_iter_*.solverstate)
  at=$(iteration_of "$state")
  on_gpus 2 "$emulated" train --solver=solver.prototxt --gpu=0,1 --set snapshot_prefix=with$killed --set display=0 --set max_iter="$at" >with$killed 2>&1
  on_gpus 2 "$emulated" train --solver=solver.prototxt --gpu=0 --set snapshot_prefix=after --snapshot="$state" --set max_iter=$((at + 2)) >after 2>&1
  check ${name}_goes_on "$(tail -n 2 after)" [ $? -eq 0 ]
  # Each device has statistics of its own: those of the reference are of device 0.
  if [ $killed = 1 ]; then
    check ${name}_has_good_statistics "iteration $at" \
      "$trainer" weights compare --tolerance=1e-4 "${name}_iter_$at.caffemodel" "with${killed}_iter_$at.caffemodel"
  fi
  for run in $name with$killed; do
    "$trainer" weights strip "${run}_iter_$at.caffemodel" --remove='bn/*' --output="$run.caffemodel"
  done >stripped 2>&1
  check ${name}_has_good_weights "iteration $at: $(cat stripped; "$trainer" weights compare $name.caffemodel with$killed.caffemodel)" \
    "$trainer" weights compare --tolerance=1e-4 $name.caffemodel with$killed.caffemodel
done
# A process hangs.
has_ended() { ! runs "$1"; }
together hanging 2 2 --set max_iter=100000 --set display=5
wait_for 120 has_done hanging.0 4
kill -STOP "${pids[1]}"
SECONDS=0
wait_for 60 has_ended "${pids[0]}"
took=$SECONDS
kill -9 "${pids[1]}"
wait_for_all
check hanging_exit_code "${codes[*]}: $(tail -n 3 hanging.0)" [ "${codes[0]}" -eq 7 ]
check hanging_within_seconds "$took s" [ $took -le 40 ]
check hanging_is_named "$(tail -n 3 hanging.0)" grep -q 'rank 1 on .* is lost' hanging.0
# The others continue.
together elastic 3 3 --elastic=2 --set max_iter=120 --set display=5
wait_for 120 has_done elastic.0 4
kill -9 "${pids[2]}"
wait_for_all
check elastic "${codes[*]}: $(tail -n 3 elastic.0 elastic.1)" [ "${codes[*]:0:2}" = '0 0' ]
check elastic_meets_again "$(tail -n 8 elastic.0)" grep -q 'The remaining processes meet again' elastic.0

# A GPU fails during an exchange.
for fault in 1:9:ncclAllReduce '1:9:kernel interpret<kMaps>'; do
  EMULATED_GPU_FAULT=$fault together fault 2 2
  wait_for_all
  check "fault $fault" "${codes[*]}: $(tail -n 2 fault.?)" [ "${codes[*]}" = '7 5' ]
  check "fault_is_told $fault" "$(tail -n 3 fault.1)" grep -q 'GPU 1, .*: an illegal memory access' fault.1
done
finish
