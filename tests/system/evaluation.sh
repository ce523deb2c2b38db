#!/bin/bash
# Tests of whole data sets, as `trainer test` and a training show them: the same numbers for every batch size and device, as
# a table, as JSON, in results.json and in the report; rows of extract_features without repeats.
#
#   tests/system/evaluation.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# 51 pictures of 3 classes: noise with a square at a place of the class.
picture() { # FILE SEED CLASS
  mkdir -p "$(dirname "$1")"
  { echo "P2 12 12 255"; awk -v s="$2" -v c="$3" 'BEGIN { srand(s); for (y = 0; y < 12; y++) for (x = 0; x < 12; x++)
      print int(rand() * 180) + (x >= 4 * c && x < 4 * c + 4 && y < 4 ? 60 : 0) }'; } >"$1"
}
classes=(circle square star) seed=0
for class in 0 1 2; do
  for i in $(seq $((16 + class))); do picture "pictures/${classes[class]}/$i.pgm" $((seed += 1)) $class; done
done
records=$(find pictures -name '*.pgm' | wc -l)

cat >net.prototxt <<'NET'
name: "small"
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { scale: 0.004 }
  image_data_param { source: "pictures" is_color: false batch_size: 10 }
}
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool" top: "ip1"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
NET
write_solver solver.prototxt "max_iter: 30 display: 10 test_epochs: 1 test_interval: 15 snapshot_prefix: 'small'"
sed -i 's/base_lr: 0.001/base_lr: 0.05/' solver.prototxt
weights=small_iter_30.caffemodel

"$trainer" train --solver=solver.prototxt --run_dir=run --cpu 2>log
check trains "$(tail -n 3 log)" test -e $weights
check says_what_a_test_reads "$(cat log)" grep -q "A test of net #0 reads all $records records, in 6 batches" log

value_of() { grep -o "\"name\":\"$2\",\"value\":[^,}]*" "$1" | head -n 1 | sed 's/.*://'; }
loss_of() { grep -o '"loss":[^,}]*' "$1" | head -n 1 | sed 's/.*://'; }
matrix_of() { grep -o '"confusion_matrices":.*' "$1" | grep -o '"counts":\[\[.*\]\]' | head -n 1; }
close() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && b != "" && d <= 1e-6 * (b < 1 ? 1 : b)) }'; }
# same_results FILE FILE: accuracy, matrix, and the loss to 1e-6.
same_results() {
  [ "$(value_of "$1" accuracy)" = "$(value_of "$2" accuracy)" ] && [ -n "$(matrix_of "$1")" ] &&
    [ "$(matrix_of "$1")" = "$(matrix_of "$2")" ] && close "$(value_of "$1" loss)" "$(value_of "$2" loss)"
}
test_of() { # PROGRAM BATCH_SIZE ARGUMENTS...
  local program=$1 size=$2
  shift 2
  "$program" test --model=net.prototxt --weights=$weights --set "layer[data].image_data_param.batch_size=$size" "$@" 2>log
}
for size in 7 10 32; do test_of "$trainer" $size --cpu --json >batch$size.json; done
for size in 7 32; do check "batches_of_$size" "$(cat batch10.json batch$size.json)" same_results batch10.json batch$size.json; done

one_document() { [ "$(wc -l <"$1")" -eq 1 ] && [[ $(cat "$1") == \{*\} ]]; }
check json_is_one_document "$(head -n 3 batch10.json)" one_document batch10.json
check json_has_the_records "$(cat batch10.json)" grep -q "\"records\":$records,\"whole_set\":true" batch10.json
check json_has_the_classes "$(cat batch10.json)" grep -q '"class_names":\["circle","square","star"\]' batch10.json
check json_has_the_loss "$(cat batch10.json)" close "$(loss_of batch10.json)" "$(value_of batch10.json loss)"
matrix_sums_to() { [ "$(matrix_of "$1" | grep -o '[0-9]*' | awk '{ sum += $1 } END { print sum }')" = "$2" ]; }
check matrix_has_each_record_once "$(matrix_of batch10.json)" matrix_sums_to batch10.json "$records"

# The table is the result; the log is apart.
test_of "$trainer" 10 --cpu >table
check table_has_the_interval "$(cat table)" grep -qE "^accuracy +0\.[0-9]+ ± 0\.[0-9]+ +$records records$" table
check table_has_the_classes "$(cat table)" grep -qE '^star +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+$' table
check table_has_the_matrix "$(cat table)" grep -qE '^2 star( +[0-9.]+){3}$' table
check log_has_the_batches "$(cat log)" grep -q 'Batch 5, accuracy = ' log
check log_has_the_means "$(cat log)" grep -qE '\] accuracy = [0-9.]+$' log
check table_is_no_log "$(cat table)" [ "$(grep -c 'Batch\|trainer' table)" -eq 0 ]
# A terminal shows the same.
script -qec "'$trainer' test --model=net.prototxt --weights=$weights --cpu" terminal >/dev/null </dev/null
check terminal_shows_the_table "$(cat terminal)" grep -qE "^accuracy +0\.[0-9]+ ± 0\.[0-9]+ +$records records" terminal

# Caffe's form: batches, without an interval.
"$trainer" test --model=net.prototxt --weights=$weights --iterations=2 --cpu --json >two.json 2>log
check batches_are_no_whole_set "$(cat two.json)" grep -q '"records":20,"whole_set":false' two.json
check batches_have_no_interval "$(cat two.json)" [ "$(grep -c interval two.json)" -eq 0 ]

# The training tested the same weights.
check results_of_the_training "$(cat run/results.json batch10.json)" same_results run/results.json batch10.json
check results_have_their_iteration "$(cat run/results.json)" grep -q '"tests":\[{"net":0,"iteration":30,' run/results.json
check results_are_whole "$(ls run)" [ ! -e run/results.json.part ]
check log_has_the_interval "$(grep 'Test net' run/train.log)" \
  grep -qE "Test net output #0: accuracy = 0\.[0-9]+ ± 0\.[0-9]+, $records records$" run/train.log
check page_has_the_matrix "$(grep -c svg run/report.html)" grep -q '<title>star: [0-9]* of' run/report.html
check page_has_the_classes "" grep -qE '<td>star</td><td>[0-9.]+</td>' run/report.html

# A loss of NaN: the document is complete, then exit code 4.
test_of "$trainer" 10 --cpu --json --set 'layer[data].transform_param.scale=1e38' --set 'layer[loss].loss_weight=1e30' >nan.json
code=$?
check nan_ends_with_4 "exit code $code: $(tail -n 2 log)" [ $code -eq 4 ]
check nan_is_null "$(cat nan.json)" grep -q '"loss":null' nan.json
check nan_document_is_complete "$(cat nan.json)" one_document nan.json

# One row for each record, in the order of the data.
extract() { "$trainer" extract_features $weights net.prototxt "$@" 2>log; }
rows_of() { head -c 128 "$1" | grep -ao "'shape': ([0-9, ]*)"; }
extract ip2,label ip2.npy,label.npy npy
check a_row_for_each_record "$(cat log)" [ "$(rows_of ip2.npy)" = "'shape': ($records, 3, )" ]
check no_record_twice "$(cat log)" [ "$(tail -c +129 ip2.npy | od -An -v -tf4 -w12 | sort -u | wc -l)" -eq "$records" ]
extract ip2 counted.npy 5 npy
check counted_batches "$(rows_of counted.npy)" [ "$(rows_of counted.npy)" = "'shape': (50, 3, )" ]
check rows_are_those_of_batches "" cmp -s <(tail -c +129 counted.npy) <(tail -c +129 ip2.npy | head -c 600)
extract label label.h5 hdf5
check hdf5_rows "$(cat log)" grep -q "Extracted features of $records query images" log

use_emulated_gpu
for size in 7 10; do
  test_of "$emulated" $size --gpu=0 --json >gpu$size.json
  check "gpu_batches_of_$size" "$(cat gpu$size.json batch10.json; tail -n 1 log)" same_results gpu$size.json batch10.json
done
on_two_gpus "$emulated" train --solver=solver.prototxt --run_dir=two --gpu=0,1 2>log
test_of "$trainer" 10 --cpu --json >after_two.json
check training_on_two_gpus "$(cat two/results.json after_two.json; tail -n 1 log)" same_results two/results.json after_two.json
finish
