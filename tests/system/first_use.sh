#!/bin/bash
# What a person meets with nets and weights of other people: overrides, inputs that nothing fills, weights that lack layers.
#
#   tests/system/first_use.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# says NAME EXIT PATTERN COMMAND...: the command ends with this code, and a line that it writes matches the pattern.
says() {
  local name=$1 code=$2 pattern=$3 seen
  shift 3
  "$@" >log 2>&1
  seen=$?
  if [ "$seen" -eq "$code" ] && grep -qE -- "$pattern" log; then ok "$name"; else bad "$name" "exit $seen: $(cat log)"; fi
}

# A net whose TRAIN and TEST data layers have one name.
cat >net.prototxt <<'NET'
name: "two phases"
layer { name: "data" type: "DummyData" top: "data" include { phase: TRAIN } dummy_data_param { shape { dim: 4 dim: 6 } } }
layer { name: "data" type: "DummyData" top: "data" include { phase: TEST } dummy_data_param { shape { dim: 5 dim: 6 } } }
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 }
NET

for phase in TRAIN TEST; do
  says set_reaches_the_layer_of_$phase 0 'data 7,6' "$trainer" summary --model=net.prototxt --phase=$phase \
    --set 'layer[data].dummy_data_param={ shape { dim: 7 dim: 6 } }'
done
says help_set 0 'layer\[conv1\]' "$trainer" help set

finish
