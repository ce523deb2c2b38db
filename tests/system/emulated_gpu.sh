#!/bin/bash
# Tests training on an emulated GPU (tests/emulated_gpu): the losses are those of the CPU, with late and with early
# execution; the loop allocates and loads nothing; error messages are correct; the GPU does not wait for the host.
#
#   tests/system/emulated_gpu.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

use_emulated_gpu
write_tiny_net tiny.prototxt
cat >solver.prototxt <<'SOLVER'
net: "tiny.prototxt" base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001
display: 1 max_iter: 30 random_seed: 3 snapshot_after_train: false
SOLVER
losses_of() { "$emulated" train --solver=solver.prototxt "$@" 2>&1 | tee output | grep -o 'Iteration .*loss = [0-9.e+-]*' | sed 's/(.*), //'; }

losses_of --cpu >cpu
losses_of --gpu=0 >late
EMULATED_GPU_ORDER=eager EMULATED_GPU_LOG=$PWD/log losses_of --gpu=0 >eager
check trains "$(tail -n 3 output)" [ "$(wc -l <cpu)" -ge 30 ]
check late_as_early "$(diff late eager | head -n 4)" cmp -s late eager
check as_the_cpu "$(paste cpu late | head -n 3)" awk '
  NR == FNR { cpu[FNR] = $NF; next }
  { difference = $NF - cpu[FNR]; if (difference < 0) difference = -difference; if (difference > 1e-3) wrong = 1 }
  END { exit wrong || FNR < 30 }' cpu late

lines=$(wc -l <log)
middle=$(sed -n "$((lines / 2)),$((lines * 3 / 4))p" log | grep -m 3 '^malloc\|^free\|^load library')
check loop_allocates_nothing "$middle" [ -z "$middle" ]

output=$(FAKE_GPUS= "$emulated" train --solver=solver.prototxt --gpu=0 2>&1)
check no_gpu "exit code $?: $output" [ $? -eq 5 ]
check no_gpu_is_told "$output" grep -q 'the driver sees no GPU' <<<"$output"
output=$("$emulated" train --solver=solver.prototxt --gpu=3 2>&1)
check absent_gpu_is_told "$output" grep -q 'there is no GPU 3: the driver sees 1' <<<"$output"
output=$(EMULATED_GPU_MEMORY=20000 "$emulated" train --solver=solver.prototxt --gpu=0 2>&1)
check little_memory_is_told "$output" grep -q 'not enough memory on GPU 0' <<<"$output"

# Batches of images that are too large: the message suggests a batch size, and that size fits.
for i in 0 1 2 3; do
  { printf 'P6 32 32 255\n'; head -c 3072 /dev/zero | tr '\0' "\\$((101 + i))"; } >picture$i.ppm
  echo "picture$i.ppm $i"
done >pictures.txt
cat >large.prototxt <<'NET'
layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { source: "pictures.txt" batch_size: 64 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 32 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
cat >large_solver.prototxt <<'SOLVER'
net: "large.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 snapshot_after_train: false
SOLVER
memory=$((12 << 20))
output=$(EMULATED_GPU_MEMORY=$memory "$emulated" train --solver=large_solver.prototxt --gpu=0 2>&1)
check large_batch_exit_code "exit code $?" [ $? -eq 5 ]
output=$(FAKE_GPUS="$FAKE_GPUS,used=900,processes=1:900" EMULATED_GPU_MEMORY=$memory "$emulated" train --solver=large_solver.prototxt --gpu=0 2>&1)
check other_processes_are_named "$output" grep -q 'Other processes use cuda:0 as well: pid 1 .*900' <<<"$output"
check large_batch_is_told "$output" grep -q 'the training needs .* are free' <<<"$output"
check largest_layers_are_told "$output" grep -q "largest layers: ip .*, relu" <<<"$output"
fits=$(sed -n 's/.*These fit: batch_size: \([0-9]*\) with iter_size: \([0-9]*\).*/\1 \2/p' <<<"$output")
read -r batch iter_size <<<"$fits"
check what_fits_is_told "$output" [ "$((batch * iter_size))" -eq 64 ]
output=$(EMULATED_GPU_MEMORY=$memory "$emulated" train --solver=large_solver.prototxt --gpu=0 --set "iter_size=$iter_size" \
  --set "layer[data].image_data_param.batch_size=$batch" 2>&1)
check what_fits_runs "exit code $?: $output" [ $? -eq 0 ]

# Batches that are much too large, on one GPU and on two.
far_too_large=("$emulated" train --solver=large_solver.prototxt --set "layer[data].image_data_param.batch_size=4096")
output=$(EMULATED_GPU_MEMORY=$memory "${far_too_large[@]}" --gpu=0 2>&1)
check far_too_large_batch "exit code $?: $output" [ $? -eq 5 ]
check far_too_large_batch_is_told "$output" grep -q 'These fit: batch_size: ' <<<"$output"
output=$(EMULATED_GPU_MEMORY=$memory on_two_gpus "${far_too_large[@]}" --gpu=0,1 2>&1)
check far_too_large_batch_on_two "exit code $?: $output" [ $? -eq 5 ]
check far_too_large_batch_on_two_is_told "$output" grep -q 'These fit: batch_size: ' <<<"$output"

# The host waits for the GPU's kernels only while further kernels are queued: between the first and the last recorded pass,
# the queue of the GPU never runs empty.
sed 's/batch_size: 64/batch_size: 2/' large.prototxt >small.prototxt
echo 'layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }' >>small.prototxt
idle() { # LOG: how often the GPU had nothing to do
  awk '
    /^launch graph/ { stream = $3; idle += since; since = 0; ++passes }
    passes > 0 && ($0 ~ "^sync " stream "$" || $0 ~ "^sync event " stream ": 0 left") { ++since }
    END { print idle + 0, "waits in", passes, "passes" }' "$1"
}
EMULATED_GPU_LOG=$PWD/train_log "$emulated" train --solver=large_solver.prototxt --gpu=0 --deterministic --set net=small.prototxt --set max_iter=12 \
  --set display=1 --set iter_size=2 --set snapshot_after_train=true --set snapshot_prefix=small >output 2>&1
check training_keeps_the_gpu_busy "$(idle train_log): $(tail -n 3 output)" grep -q '^0 waits in [2-9][0-9] passes' <(idle train_log)
EMULATED_GPU_LOG=$PWD/test_log "$emulated" test --deterministic --model=small.prototxt --weights=small_iter_12.caffemodel --iterations=12 --gpu=0 >tested 2>&1
check test_keeps_the_gpu_busy "$(idle test_log): $(tail -n 3 tested)" grep -q '^0 waits in 1[0-9] passes' <(idle test_log)
EMULATED_GPU_ORDER=eager "$emulated" test --deterministic --model=small.prototxt --weights=small_iter_12.caffemodel --iterations=12 --gpu=0 >early 2>&1
numbers_of() { grep -o 'Batch .*\|Loss: .*\|[a-z]* = .*' "$1"; }
check test_is_the_same_early "$(diff <(numbers_of tested) <(numbers_of early) | head -n 4)" cmp -s <(numbers_of tested) <(numbers_of early)
check test_tells_each_batch "$(cat tested)" [ "$(grep -c 'Batch [0-9]*, accuracy' tested)" -eq 12 ]

# A pass is one graph, and that of the last pass of an iteration has the update. Beside them, only the number of the pass is
# sent to the GPU: the rate stays the same.
launches() { # LOG: those from the first graph on
  awk '/^launch graph/ { ++graphs; next } graphs > 0 && /^launch / && !/ captured$/ { ++others } END { print graphs + 0, others + 0 }' "$1"
}
for passes in 1 2; do
  EMULATED_GPU_LOG=$PWD/log_$passes "$emulated" train --solver=large_solver.prototxt --gpu=0 --deterministic --set net=small.prototxt \
    --set max_iter=12 --set iter_size=$passes >output 2>&1
  check "one_graph_for_a_pass_$passes" "$(launches log_$passes): $(tail -n 3 output)" [ "$(launches log_$passes)" = "$((11 * passes)) $((11 * passes - 1))" ]
done

# A training that diverges in a recorded iteration: its update changes nothing, so that the search for the layer finds it.
output=$("$emulated" train --solver=solver.prototxt --gpu=0 --set lr_policy=exp --set gamma=100 --set max_iter=100 2>&1)
check diverges_with_4 "exit code $?: $output" [ $? -eq 4 ]
check diverged_layer_is_named "$output" grep -qE 'first bad value is a result of layer "(conv|ip|relu|loss)"' <<<"$output"

# If a GPU fails, nothing waits for it for ever, whatever the host waits for at that time.
for order in late eager; do
  for fault in 1:9:ncclAllReduce 0:9:ncclAllReduce '1:9:kernel interpret<kMaps>'; do
    output=$(EMULATED_GPU_FAULT=$fault EMULATED_GPU_ORDER=$order on_two_gpus \
      timeout -k 5 60 "$emulated" train --solver=solver.prototxt --gpu=0,1 --set test_interval=0 2>&1)
    check "fault_$order $fault" "exit code $?: $output" [ $? -eq 5 ]
    check "fault_is_told_$order $fault" "$output" grep -q "GPU ${fault%%:*}, .*: an illegal memory access" <<<"$output"
    check "fault_reports_what_is_left_$order $fault" "$output" grep -q 'there is none to resume from' <<<"$output"
  done
done
output=$(EMULATED_GPU_FAULT=1:9:ncclAllReduce on_two_gpus "$emulated" train --solver=solver.prototxt \
  --gpu=0,1 --set snapshot=2 --set snapshot_prefix=before 2>&1)
last=$(sed -n 's/.*resume with --snapshot=//p' <<<"$output")
check fault_tells_what_to_go_on_from "$output" test -s "$last"
output=$(CUDA_LAUNCH_BLOCKING=1 on_two_gpus "$emulated" train --solver=solver.prototxt --gpu=0,1 2>&1)
check blocking_launches_are_refused "$output" grep -q 'unset it, or train on one GPU' <<<"$output"
finish
