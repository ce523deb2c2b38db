#!/bin/bash
# Tests diverging trainings: a loss that is not finite stops the training with exit code 4; the message names the first
# layer with a bad value, and the last good snapshot stays.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net net.prototxt
train() { "$trainer" train --solver=solver.prototxt --run_dir= "$@" >log 2>&1; }
newest() { find snap -name '*.solverstate' | sort -V | tail -n 1; }

# The learning rate grows by a factor of 100 per iteration.
write_solver solver.prototxt "max_iter: 1000 snapshot: 2 snapshot_prefix: 'snap/x'"
mkdir snap
train --set lr_policy=exp --set gamma=100
code=$?
check diverges_with_4 "exit code $code: $(tail -n 1 log)" [ $code = 4 ]
check diverged_layer_is_named "$(tail -n 1 log)" grep -qE 'layer "(conv|ip|relu|loss)"' log
check diverged_keeps_a_snapshot "" [ -n "$(newest)" ]
state=$(newest)
iteration=${state##*_iter_}
iteration=${iteration%.solverstate}
train --snapshot="$state" --set max_iter=$((iteration + 1)) --set base_lr=0
check diverged_snapshot_resumes "$(tail -n 1 log)" [ -e "snap/x_iter_$((iteration + 1)).caffemodel" ]

# The parameters are good, but a layer in the middle overflows.
sed 's/^layer { name: "relu".*/&\nlayer { name: "blow" type: "Power" bottom: "conv" top: "conv" power_param { power: 3 scale: 1e20 } }/' \
  net.prototxt >blow.prototxt
rm -rf snap && mkdir snap
train --set net=blow.prototxt
code=$?
check overflow_ends_with_4 "exit code $code" [ $code = 4 ]
check overflowing_layer_is_named "$(tail -n 1 log)" grep -q 'layer "blow"' log
check overflow_writes_no_snapshot "$(ls snap)" [ -z "$(newest)" ]

# The last update makes the parameters infinite: no loss shows this, but the snapshot would contain it.
rm -rf snap && mkdir snap
train --set base_lr=1e38 --set max_iter=1 --set layer[loss].loss_weight=[1e30]
code=$?
check infinite_parameters_end_with_4 "exit code $code: $(tail -n 1 log)" [ $code = 4 ]
check infinite_parameters_are_not_written "$(ls snap)" [ -z "$(find snap -type f)" ]
# Weights that are NaN are an error.
values=$(printf 'nan, %.0s' {1..191})nan
echo "layer { name: 'ip' blobs { shape { dim: [3, 64] } data: [$values] } blobs { shape { dim: 3 } data: [0, 0, 0] } }" |
  protoc -I "$source_folder/proto" --encode=caffe.NetParameter trainer.proto >nan.caffemodel
"$trainer" test --model=net.prototxt --weights=nan.caffemodel --allow_fresh --iterations=1 >log 2>&1
code=$?
check a_test_of_no_numbers_ends_with_4 "exit code $code: $(tail -n 1 log)" [ $code = 4 ]
check a_test_of_no_numbers_says_so "$(tail -n 1 log)" grep -q 'the loss is not finite' log
finish
