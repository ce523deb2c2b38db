#!/bin/bash
# --precision on an emulated GPU (tests/emulated_gpu): what the libraries are asked for, read from its log.
#
#   tests/system/gpu_options.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

if ! use_emulated_gpu; then
  echo "SKIPPED: this build has no emulated GPU"
  finish
  exit
fi
write_tiny_net tiny.prototxt
cat >solver.prototxt <<'SOLVER'
net: "tiny.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 6 display: 1 snapshot: 3 snapshot_prefix: "s" random_seed: 1
SOLVER
export EMULATED_GPU_LOG=$work/gpu.log
# What ran on the GPU.
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
train --precision=tf32
check tf32_uses_tensor_cores "$(sort "$EMULATED_GPU_LOG" | uniq -c)" launched 'cudnnBackendExecute tensor_cores'
check tf32_rounds "equal weights" bash -c '! cmp -s s_iter_6.caffemodel fp32.caffemodel'
refused tf32_on_the_cpu '--precision=tf32: .*use fp32' "$emulated" train --solver=solver.prototxt --run_dir= --precision=tf32
refused tf32_on_turing '--precision=tf32: .*compute capability 8.0.*use fp32' \
  "$emulated" summary --model=tiny.prototxt --gpu=sm_75 --precision=tf32
finish
