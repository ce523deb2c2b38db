#!/bin/bash
# Tests --precision, --deterministic and autotuning on an emulated GPU (tests/emulated_gpu): checks the calls to the
# libraries in its log.
#
#   tests/system/gpu_options.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

use_emulated_gpu
write_tiny_net tiny.prototxt
cat >solver.prototxt <<'SOLVER'
net: "tiny.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 6 display: 1 snapshot: 3 snapshot_prefix: "s" random_seed: 1
SOLVER
export XDG_CACHE_HOME=$work/cache EMULATED_GPU_LOG=$work/gpu.log
# launched NAME: whether this ran on the GPU.
launched() { grep -q "launch $1 " "$EMULATED_GPU_LOG"; }
not_launched() { ! launched "$1"; }
train() {
  rm -f "$EMULATED_GPU_LOG"
  "$emulated" train --solver=solver.prototxt --run_dir= --gpu=0 "$@" >train.log 2>&1
}
refused() { # NAME EXPECTED COMMAND...
  local name=$1 expected=$2 output
  shift 2
  output=$("$@" 2>&1)
  check "${name}_exit_code" "exit code $?: $output" [ $? -eq 5 ]
  check "${name}_is_told" "$output" grep -q -- "$expected" <<<"$output"
}

train --precision=fp32
check fp32_trains "$(tail -n 3 train.log)" test -s s_iter_6.caffemodel
cp s_iter_6.caffemodel fp32.caffemodel
check fp32_rounds_nothing "$(sort "$EMULATED_GPU_LOG" | uniq -c)" not_launched 'cudnnBackendExecute tensor_cores'
tells_of_tensor_cores() { grep -q 'This GPU has tensor cores: --precision=tf32 or bf16 is usually' train.log; }
tells_nothing_of_tensor_cores() { ! tells_of_tensor_cores; }
check fp32_by_choice_is_left_alone "$(cat train.log)" tells_nothing_of_tensor_cores
train
check faster_precisions_are_told "$(cat train.log)" [ "$(grep -c 'tensor cores' train.log)" -eq 1 ]
EMULATED_GPU_CAPABILITY=75 train
check where_there_are_some "$(cat train.log)" tells_nothing_of_tensor_cores
check and_trains_without "$(tail -n 3 train.log)" grep -q 'Optimization Done' train.log
output=$("$emulated" summary --model=tiny.prototxt --gpu=0 --plan 2>&1 | tail -n 1)
check a_plan_for_an_unknown_gpu_has_no_time "$output" grep -Eqx '[0-9]+ launches, [0-9.e-]+ GB read and written, [0-9.e-]+ TFLOP' <<<"$output"
# On an emulated GPU the fastest engine is random; deterministic runs take the library's first.
train --precision=tf32 --deterministic
check tf32_uses_tensor_cores "$(sort "$EMULATED_GPU_LOG" | uniq -c)" launched 'cudnnBackendExecute tensor_cores'
check tf32_rounds "equal weights" bash -c '! cmp -s s_iter_6.caffemodel fp32.caffemodel'
extract() { # OUT FLAGS...
  local out=$1
  shift
  rm -f "$EMULATED_GPU_LOG"
  "$emulated" extract_features fp32.caffemodel tiny.prototxt conv,ip "$out-conv.npy,$out-ip.npy" 1 npy GPU 0 "$@" >extract.log 2>&1
}
extract plain
check features_of_fp32 "$(tail -n 3 extract.log)" not_launched 'cudnnBackendExecute tensor_cores'
extract rounded --precision=tf32 --deterministic
check features_of_tf32 "$(tail -n 3 extract.log)" launched 'cudnnBackendExecute tensor_cores'
extract half --precision=fp16
check features_of_fp16_are_floats "$(tail -n 3 extract.log)" [ "$(stat -c %s half-conv.npy)" -eq "$(stat -c %s plain-conv.npy)" ]
check features_of_fp16_are_rounded "equal" bash -c '! cmp -s half-conv.npy plain-conv.npy'
refused tf32_on_the_cpu '--precision=tf32: .*use fp32' "$emulated" train --solver=solver.prototxt --run_dir= --precision=tf32
refused broken_cudnn 'SUBLIBRARY_VERSION_MISMATCH.*run on the CPU' env EMULATED_CUDNN=mixed-versions XDG_CACHE_HOME="$work/none" \
  "$emulated" train --solver=solver.prototxt --run_dir= --gpu=0
mkdir parts && ln -s "$TRAINER_CUDA_LIBRARIES"/*.so* parts && rm parts/libcudnn_graph.so.9
refused cudnn_without_a_part 'a part of cuDNN cannot be opened: .*libcudnn_graph.so.9.*Reinstall cuDNN' env TRAINER_CUDA_LIBRARIES="$work/parts" \
  "$emulated" train --solver=solver.prototxt --run_dir= --gpu=0
refused tf32_on_turing '--precision=tf32: .*compute capability 8.0.*use fp16 or fp32' \
  "$emulated" summary --model=tiny.prototxt --gpu=sm_75 --precision=tf32

# A loss so large that its first gradients overflow in float16.
sed 's/type: "SoftmaxWithLoss"/& loss_weight: 1000/' tiny.prototxt >large.prototxt
sed 's/tiny/large/; s/base_lr: 0.1/base_lr: 0.0001/; s/max_iter: 6/max_iter: 12/; s/snapshot: 3/snapshot: 6/' solver.prototxt >fp16.prototxt
train --solver=fp16.prototxt --precision=fp16
check fp16_trains "$(tail -n 3 train.log)" test -s s_iter_12.caffemodel
check fp16_reports_skipped_updates "$(tail -n 5 train.log)" grep -q 'Skipped 1 update whose gradients float16 cannot hold; the loss scale is 32768' train.log
check fp16_finds_its_scale "$(grep 'Skipped' train.log)" bash -c "! grep 'Iteration 11' -A 9 train.log | grep -q 'Skipped'"
cp s_iter_12.caffemodel whole.caffemodel
cp s_iter_12.solverstate whole.solverstate
train --solver=fp16.prototxt --precision=fp16 --snapshot=s_iter_6.solverstate
check fp16_resumes_to_the_same_bits "$(tail -n 3 train.log)" cmp s_iter_12.caffemodel whole.caffemodel
check fp16_resumes_to_the_same_state "$(tail -n 3 train.log)" cmp s_iter_12.solverstate whole.solverstate
train --solver=fp16.prototxt --precision=fp32 --snapshot=s_iter_6.solverstate
check fp16_goes_on_in_fp32 "$(tail -n 3 train.log)" grep -q 'Optimization Done' train.log
# Two GPUs skip the same updates: each skipped update halves the scale once.
on_two_gpus train --solver=fp16.prototxt --precision=fp16 --gpu=0,1
halved=$(grep -c 'Skipped 1 update' train.log) scale=$(sed -n 's/.*the loss scale is \([0-9]*\)$/\1/p' train.log | tail -n 1)
check fp16_on_two_agrees "$halved times, $scale: $(tail -n 3 train.log)" [ "${scale:-0}" -eq $((65536 >> halved)) ]
sed -i 's/base_lr: 0.0001/base_lr: 1e30/' fp16.prototxt
train --solver=fp16.prototxt --precision=fp16
check fp16_still_diverges "exit code $?: $(tail -n 3 train.log)" grep -q 'the loss is .*nan\|the loss is .*inf' train.log

train --deterministic
cp s_iter_6.caffemodel whole.caffemodel
check deterministic_sums_in_sequence "$(sort "$EMULATED_GPU_LOG" | uniq -c)" \
  bash -c "! grep -q 'cudnnBackendExecute atomics\|cublasLtMatmul in_place' '$EMULATED_GPU_LOG'"
rm -rf "$XDG_CACHE_HOME" s_iter_6.*
train --deterministic --snapshot=s_iter_3.solverstate
check deterministic_resumes_to_the_same_bits "$(tail -n 3 train.log)" cmp s_iter_6.caffemodel whole.caffemodel
output=$("$emulated" train --solver=solver.prototxt --run_dir= --deterministic 2>&1)
check cpu_takes_deterministic "exit code $?: $output" [ $? -eq 0 ]
refused fp16_on_the_cpu '--precision=fp16: .*use bf16' "$emulated" train --solver=solver.prototxt --run_dir= --precision=fp16

# A slow engine is not chosen, and the choice is cached.
engine() { grep -o 'cudnnBackendExecute [a-z]*' "$EMULATED_GPU_LOG" | tail -n 1; }
product() { grep -o 'cublasLtMatmul [a-z_]*' "$EMULATED_GPU_LOG" | tail -n 1; }
tries() { grep -q 'Autotuning convolutions' train.log; }
tries_nothing() { ! tries; }
rm -rf "$XDG_CACHE_HOME"
EMULATED_GPU_SLOW='cudnnBackendExecute plain' train
check trials_are_told "$(cat train.log)" grep -q "Autotuning convolutions and matrix products on .*; the results are cached in $XDG_CACHE_HOME/trainer/cuda" train.log
check the_faster_engine_runs "$(engine)" [ "$(engine)" = 'cudnnBackendExecute atomics' ]
EMULATED_GPU_SLOW='cudnnBackendExecute atomics' train
check nothing_is_tried_again "$(cat train.log)" tries_nothing
check the_kept_engine_runs "$(engine)" [ "$(engine)" = 'cudnnBackendExecute atomics' ]
EMULATED_GPU_SLOW='cudnnBackendExecute plain' train --deterministic
check deterministic_runs_have_a_choice_of_their_own "$(engine)" [ "$(engine)" = 'cudnnBackendExecute plain' ]
check deterministic_runs_try_nothing "$(cat train.log)" tries_nothing

# A relu fuses into a convolution only in an engine that propagated a NaN in a test; the result of the test is cached.
launches() { grep -c '^launch' "$EMULATED_GPU_LOG"; }
rm -rf "$XDG_CACHE_HOME"
export EMULATED_GPU_SLOW='cudnnBackendExecute plain'
train
train
fused=$(launches)
EMULATED_CUDNN=drops-nan train
check relus_are_tried "$(cat train.log)" tries
EMULATED_CUDNN=drops-nan train
apart=$(launches)
check a_refused_relu_is_not_tried_again "$(cat train.log)" tries_nothing
check a_relu_that_drops_nans_is_a_map "$fused launches with fused relus, $apart without" [ "$apart" -gt "$fused" ]
unset EMULATED_GPU_SLOW

rm -rf "$XDG_CACHE_HOME"
EMULATED_GPU_SLOW='cublasLtMatmul whole' train
check the_slower_product_does_not_run "$(product)" [ "$(product)" != 'cublasLtMatmul whole' ]
kept=$(product)
EMULATED_GPU_SLOW=$kept train
check the_kept_product_runs "$(product)" [ "$(product)" = "$kept" ]
for file in "$XDG_CACHE_HOME"/trainer/cuda/*; do truncate -s -1 "$file"; done
train
check a_cut_cache_is_made_again "$(tail -n 3 train.log)" tries
train
check and_kept "$(tail -n 3 train.log)" tries_nothing
# Cache entries of the right length with random content.
for file in "$XDG_CACHE_HOME"/trainer/cuda/*; do
  head -c 16 /dev/urandom | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 16)) conv=notrunc status=none
done
train
check a_spoilt_cache_is_made_again "$(tail -n 3 train.log)" tries
check and_trains "$(tail -n 3 train.log)" grep -q 'Optimization Done' train.log
for file in "$XDG_CACHE_HOME"/trainer/cuda/*; do rm "$file" && mkfifo "$file"; done
timeout -k 5 60 "$emulated" train --solver=solver.prototxt --run_dir= --gpu=0 >train.log 2>&1
check pipes_in_the_cache_are_passed_over "exit code $?: $(tail -n 3 train.log)" grep -q 'Optimization Done' train.log
XDG_CACHE_HOME=/proc/nowhere train
check without_a_cache_it_is_told "$(grep Autotuning train.log)" grep -q 'every run repeats this because the cache is not usable (/proc/nowhere/trainer/cuda: ' train.log
check without_a_cache_it_trains "$(tail -n 3 train.log)" grep -q 'Optimization Done' train.log
finish
