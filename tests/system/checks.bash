# Sourced by the scripts of this folder. Provides a fresh working folder, `ok`/`FAIL` lines and the summary line. Each
# script takes the program's path as its first argument.

[ $# -ge 1 ] || { echo "usage: ${0##*/} TRAINER" >&2; exit 2; }
trainer=$(realpath "$1") && [ -x "$trainer" ] || { echo "no program $1" >&2; exit 2; }
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export LC_ALL=C TERM=dumb NO_COLOR=1
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1 ${2:-}"; }

# check NAME REASON COMMAND...: ok if the command succeeds.
check() {
  local name=$1 reason=$2
  shift 2
  if "$@"; then ok "$name"; else bad "$name" "$reason"; fi
}

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# wait_for SECONDS COMMAND...: repeats the command until it succeeds; fails after this time.
wait_for() {
  local tenths=$(($1 * 10))
  shift
  until "$@"; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

# write_tiny_net FILE: a small, fast net with random batches and a test phase; its last learned layer is `ip`.
write_tiny_net() {
  cat >"$1" <<'NET'
name: "tiny"
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 4 dim: 2 dim: 6 dim: 6 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 }
  }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
}

# write_solver FILE FIELDS...: a solver for net.prototxt, without max_iter and without any output, unless FIELDS set them.
write_solver() {
  local file=$1
  shift
  echo "net: 'net.prototxt' base_lr: 0.001 lr_policy: 'fixed' momentum: 0.9 random_seed: 1 $*" >"$file"
}

# Sets $emulated to the program with the emulated GPU of tests/emulated_gpu, and a driver with one GPU. Ends the script if
# this build has no emulated GPU.
use_emulated_gpu() {
  local build
  build=$(dirname "$trainer")
  emulated=$build/tests/trainer
  export TRAINER_CUDA_LIBRARIES=$build/tests/emulated_gpu/lib
  export LD_LIBRARY_PATH=$build/tests/fake_driver FAKE_GPUS="uuid=GPU-$(printf %08x $$)-0000-4000-8000-000000000000"
  export XDG_CACHE_HOME=$TRAINER_CUDA_LIBRARIES/cache
  trap 'rm -rf "$work" {/run/lock/trainer,/tmp/trainer-gpu-locks}/"${FAKE_GPUS#uuid=}"*' EXIT
  [ -e "$TRAINER_CUDA_LIBRARIES/libemulated_cudart.so" ] && return
  echo "SKIPPED: this build has no emulated GPU"
  finish
  exit
}

# Runs a command with two emulated GPUs.
on_two_gpus() { FAKE_GPUS="$FAKE_GPUS;$FAKE_GPUS-2" EMULATED_GPUS=2 "$@"; }
