#!/bin/bash
# Tests first steps with nets and weights from other people: overrides, inputs that nothing fills, weights that lack layers.
#
#   tests/system/first_use.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# says NAME EXIT PATTERN COMMAND...: the command ends with this code and writes a line that matches the pattern.
says() {
  local name=$1 code=$2 pattern=$3 seen
  shift 3
  "$@" >log 2>&1
  seen=$?
  if [ "$seen" -eq "$code" ] && grep -qE -- "$pattern" log; then ok "$name"; else bad "$name" "exit $seen: $(cat log)"; fi
}

# A net whose TRAIN and TEST data layers have the same name.
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
cat >bare.prototxt <<'NET'
layer { name: "data" type: "Data" top: "data" }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
NET
says a_given_shape_stands_for_the_source 0 'data 7,6' "$trainer" summary --model=bare.prototxt --phase=TEST --shape=data=7,6
says help_set 0 'layer\[conv1\]' "$trainer" help set

# A deploy net: no command fills its input, and its weights come from a net with other names.
cat >deploy.prototxt <<'NET'
input: "data" input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 4
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 4 } }
layer { name: "prelu1" type: "PReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "InnerProduct" bottom: "conv" top: "score" inner_product_param { num_output: 5 } }
NET
cat >trained.prototxt <<'NET'
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } data_filler { type: "gaussian" } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 4 weight_filler { value: 0.5 } } }
layer { name: "prelu1" type: "PReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "InnerProduct" bottom: "conv" top: "score" inner_product_param { num_output: 5 weight_filler { value: 1 } } }
layer { name: "loss" type: "Reduction" bottom: "score" top: "loss" loss_weight: 1 }
NET
train_weights() { # PREFIX [--set ...]
  write_solver solver.prototxt "max_iter: 0 snapshot_prefix: '$1' solver_mode: CPU"
  "$trainer" train --solver=solver.prototxt --run_dir= --set net=trained.prototxt "${@:2}" >log 2>&1 || bad "weights_$1" "$(cat log)"
}
train_weights same
train_weights renamed --set 'layer[prelu1].name=PReLU1'

# A resumed training reports the parts that it restarts, and does not report a seed that it does not use.
echo "net: 'trained.prototxt' base_lr: 0.001 lr_policy: 'fixed' max_iter: 1 snapshot_prefix: 'seedless' solver_mode: CPU" >seedless.prototxt
"$trainer" train --solver=seedless.prototxt --run_dir= >log 2>&1 || bad seedless "$(cat log)"
seed=$(grep -o 'random_seed: .*' log)
resume=("$trainer" train --solver=seedless.prototxt --run_dir= --snapshot=seedless_iter_1.solverstate --set max_iter=2)
says a_resumed_seed_is_the_states 0 "$seed\$" "${resume[@]}"
check no_change_of_seed "$(cat log)" test "$(grep -c random_seed log)" = 1
says a_layer_begun_anew 0 'fresh +mine' "${resume[@]}" --set 'layer[score].name=mine'

unfilled='layer "input" \(Input\): nothing fills its top "data"'
says test_of_an_unfilled_input 2 "$unfilled" "$trainer" test --model=deploy.prototxt --weights=same_iter_0.caffemodel
says features_of_an_unfilled_input 2 "$unfilled" "$trainer" extract_features same_iter_0.caffemodel deploy.prototxt score s.npy 1 npy
says training_of_an_unfilled_input 2 "$unfilled" "$trainer" train --solver=solver.prototxt --run_dir= --set net=deploy.prototxt
says time_runs_on_zeros 0 'Average Forward' "$trainer" time --model=deploy.prototxt --iterations=1 --forward_only
says summary_needs_no_input 0 'score 2,5' "$trainer" summary --model=deploy.prototxt --phase=TEST
# 48 inputs of 2 and weights of 0.5 give 48 in each of 2 channels, with sum 96.
says a_filled_input 0 'Batch 0, score = 96$' "$trainer" test --model=deploy.prototxt --weights=same_iter_0.caffemodel --iterations=1 --fill=data=2
says an_input_of_noise 0 'score = -?[0-9]+\.[0-9]+' "$trainer" test --model=deploy.prototxt --weights=same_iter_0.caffemodel --iterations=1 --fill=data=gaussian
says a_fill_of_no_input 2 'no Input layer has a top "dta"; did you mean "data"\?' "$trainer" test --model=deploy.prototxt --weights=same_iter_0.caffemodel --fill=dta=0
says a_fill_without_a_number 2 'not of the form TOP=VALUE' "$trainer" test --model=deploy.prototxt --weights=same_iter_0.caffemodel --fill=data=much

test_renamed=("$trainer" test --model=deploy.prototxt --weights=renamed_iter_0.caffemodel --iterations=1 --fill=data=2)
says a_layer_that_the_weights_lack 3 'fresh +prelu1 .*"PReLU1" of the file, which the net lacks, has its shape' "${test_renamed[@]}"
says features_of_a_fresh_layer 3 'allow_fresh' "$trainer" extract_features renamed_iter_0.caffemodel deploy.prototxt score s.npy 1 npy --fill=data=2
says fresh_layers_allowed 0 'score = 96$' "${test_renamed[@]}" --allow_fresh
says a_rename_for_the_test 0 'score = 96$' "${test_renamed[@]}" --set 'layer[prelu1].name=PReLU1'

# Images: a root folder without "/", fewer images than the batches need, labels that start at 1.
mkdir pictures
for label in 1 2 3 4; do
  echo "P3 1 1 255 $label 0 0" >"pictures/$label.ppm"
done
mkdir -p classes/cats classes/dogs
cp pictures/1.ppm "classes/cats/a cat.ppm"
cp pictures/2.ppm classes/dogs/a.ppm
says a_folder_as_a_list 3 'is a folder, not a list of images' "$trainer" convert imageset classes/ classes/ db
eval "$(sed -n 's/.*class: \((cd .*\)/\1/p' log)"
mv list.txt classes.txt
check the_list_that_it_names "$(cat classes.txt)" test "$(cat classes.txt)" = $'cats/a cat.ppm 0\ndogs/a.ppm 1'
says a_folder_as_a_list_converted 0 '^2 records written' "$trainer" convert imageset classes/ classes.txt classes_db
for label in 1 2 3 4; do echo "$label.ppm $label"; done >list.txt
says a_root_without_a_slash 3 'write it with a / at its end, "pictures/"' "$trainer" convert imageset pictures list.txt db
check one_message_of_it "$(cat log)" test "$(wc -l <log)" -le 2
"$trainer" convert imageset pictures/ list.txt db >log 2>&1 || bad convert "$(cat log)"
cat >pictures.prototxt <<'NET'
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" backend: LMDB batch_size: 3 } }
layer { name: "half" type: "Power" bottom: "data" top: "halves" power_param { scale: 0.5 } }
layer { name: "silence" type: "Silence" bottom: "label" }
NET
features() { "$trainer" extract_features none pictures.prototxt "$@"; }
says features_that_repeat 0 'The data set has 4 items, but 2 batches of 3 are 6: the last 2 repeat' features halves h.npy 2 npy
says features_of_one_batch 0 'Extracted features of 3 query' features halves one.npy 1 npy
check nothing_repeated "$(cat log)" test "$(grep -c repeat log)" = 0
says a_layer_that_is_no_blob 2 'a layer has this name: it makes "halves"; its blobs in phase TEST: data, label, halves$' features half i.npy 1 npy
says an_empty_mean_file 2 'mean_file is empty; remove the field' features halves j.npy 1 npy --set 'layer[data].transform_param.mean_file='
says weights_none_where_some_are_needed 3 'none' "$trainer" extract_features none deploy.prototxt score s.npy 1 npy --fill=data=2
cat >counted.prototxt <<'NET'
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" backend: LMDB batch_size: 4 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
says labels_that_count_from_1 3 'Labels count from 0: where they count from 1, subtract 1' \
  "$trainer" train --solver=solver.prototxt --run_dir= --set net=counted.prototxt --set max_iter=1

sed -i 's/num_output: 4/num_output: 5/' counted.prototxt
cat >epochs.prototxt <<'SOLVER'
net: "counted.prototxt" base_lr: 0.1 lr_policy: "fixed" max_epochs: 3 snapshot_prefix: "e" solver_mode: CPU
SOLVER
says epochs_train 0 'e_iter_3.caffemodel' "$trainer" train --solver=epochs.prototxt --run_dir=used
says the_solver_of_a_run_folder_trains 0 'e_iter_3.caffemodel' "$trainer" train --solver=used/solver.prototxt --run_dir=

says memory_below_the_parameters 5 '--memory=100 bytes: parameters, gradients and history take .*: no batch_size makes them smaller' \
  "$trainer" summary --model=trained.prototxt --memory=100
says help_of_long_names 0 '^ConvolutionDepthwise  ' "$trainer" help layers
says help_of_refused_fields 0 '^hdf5_data_param$' "$trainer" help layer HDF5Data
check refused_fields_are_left_out "$(cat log)" test "$(grep -cE '^(transform_param|data_param)$' log)" = 0
says help_of_transforms 0 '^transform_param$' "$trainer" help layer WindowData

finish
