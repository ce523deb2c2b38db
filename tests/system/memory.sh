#!/bin/bash
# Tests that the memory that `trainer summary` predicts is the memory that a training uses, within 10%.
#
# The memory of a training is the resident memory of the process after three iterations, minus that of a process that trains
# a net of a few kilobytes: both contain the libraries' code and tables, which are not part of a plan.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# resident NET STAGE: KiB after three iterations of a training.
resident() {
  local pid kib stages=
  [ -z "$2" ] || stages="train_state { stage: '$2' }"
  echo "net: '$1' $stages base_lr: 0.0001 lr_policy: 'fixed' momentum: 0.9 max_iter: 1000000000 display: 1
        snapshot_after_train: false random_seed: 1" >memory_solver.prototxt
  : >log
  "$trainer" train --solver=memory_solver.prototxt --run_dir= >log 2>&1 &
  pid=$!
  wait_for 120 grep -q 'Iteration 3\b' log
  kib=$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status")
  kill -9 $pid
  wait $pid 2>/dev/null
  echo "${kib:-0}"
}

# planned NET STAGE: KiB by trainer summary.
planned() {
  "$trainer" summary --model="$1" ${2:+--stage=$2} | awk '/^planned memory:/ {
    factor["bytes"] = 1 / 1024; factor["KiB"] = 1; factor["MiB"] = 1024; factor["GiB"] = 1048576
    printf "%d", $3 * factor[$4] }'
}

# compare NAME NET STAGE
compare() {
  local plan taken
  plan=$(planned "$2" "$3")
  taken=$(($(resident "$2" "$3") - start))
  if ((plan > 0 && taken * 10 >= plan * 9 && plan * 10 >= taken * 9)); then
    ok "$1 (planned $plan KiB, taken $taken KiB)"
  else
    bad "$1" "planned $plan KiB, taken $taken KiB"
  fi
}

write_tiny_net net.prototxt
start=$(resident net.prototxt "")
compare memory_cifar10_full "$source_folder/models/cifar10_full/cifar10_full_train_test.prototxt" bench
sed -e 's/dim: 100/dim: 2/; s/dim: 8\b/dim: 2/' "$source_folder/models/resnet50/resnet50_train_val.prototxt" >resnet50.prototxt
compare memory_resnet50 resnet50.prototxt bench

# A data set: the memory includes the buffers of prefetched batches.
big_endian() { printf "\\x$(printf %02x $(($1 >> 24 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 & 255)))"; }
{ big_endian 0x803; big_endian 40; big_endian 256; big_endian 256; head -c $((40 * 65536)) /dev/zero; } >images.idx
{ big_endian 0x801; big_endian 40; head -c 40 /dev/zero; } >labels.idx
"$trainer" convert idx images.idx labels.idx lmdb >/dev/null 2>&1
cat >fed.prototxt <<'NET'
name: "fed"
layer {
  name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "lmdb" backend: LMDB batch_size: 32 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: "xavier" } }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "constant" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
compare memory_of_data_buffers fed.prototxt ""
finish
