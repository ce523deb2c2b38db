#!/bin/bash
# Tests the commands that replace Caffe's tools: the exact output of `summary --caffe` and `upgrade`, and feature
# extraction.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

touch log
cat >net.prototxt <<'NET'
name: "small"
layer {
  name: "images" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "nowhere" batch_size: 8 backend: LMDB }
}
layer {
  name: "rows" type: "HDF5Data" top: "data" top: "label" include { phase: TEST stage: "rows" }
  hdf5_data_param { source: "nowhere.txt" batch_size: 8 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv" param { name: "w" }
  convolution_param { num_output: 4 kernel_size: 3 }
}
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" }
layer {
  name: "conv2" type: "Convolution" bottom: "data" top: "conv2" param { name: "w" }
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false }
}
layer { name: "sum" type: "Eltwise" bottom: "norm" bottom: "conv2" top: "sum" }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET

# Computed by hand from Caffe's rules: a Split after every blob with two readers, three blobs of BatchNorm, and the shared
# kernel at both layers.
printf '%s\n' \
  $'layer\timages\tData' \
  $'top\timages\tData\tdata\t8,3,6,5' \
  $'top\timages\tData\tlabel\t8' \
  $'layer\tdata_images_0_split\tSplit\tdata' \
  $'top\tdata_images_0_split\tSplit\tdata_images_0_split_0\t8,3,6,5' \
  $'top\tdata_images_0_split\tSplit\tdata_images_0_split_1\t8,3,6,5' \
  $'layer\tconv\tConvolution\tdata_images_0_split_0' \
  $'top\tconv\tConvolution\tconv\t8,4,4,3' \
  $'blob\tconv\t0\t4,3,3,3' \
  $'blob\tconv\t1\t4' \
  $'layer\tnorm\tBatchNorm\tconv' \
  $'top\tnorm\tBatchNorm\tnorm\t8,4,4,3' \
  $'blob\tnorm\t0\t4' \
  $'blob\tnorm\t1\t4' \
  $'blob\tnorm\t2\t1' \
  $'layer\tconv2\tConvolution\tdata_images_0_split_1' \
  $'top\tconv2\tConvolution\tconv2\t8,4,4,3' \
  $'blob\tconv2\t0\t4,3,3,3' \
  $'layer\tsum\tEltwise\tnorm\tconv2' \
  $'top\tsum\tEltwise\tsum\t8,4,4,3' \
  $'layer\tip\tInnerProduct\tsum' \
  $'top\tip\tInnerProduct\tip\t8,3' \
  $'blob\tip\t0\t3,48' \
  $'blob\tip\t1\t3' \
  $'layer\tloss\tSoftmaxWithLoss\tip\tlabel' \
  $'top\tloss\tSoftmaxWithLoss\tloss\t' >wanted
same_table() {
  "$trainer" summary --caffe --model=net.prototxt --shape data=8,3,6,5 --shape=label=8 "$@" 2>log >table &&
    diff wanted table >&2
}
check a_net_is_shown_as_caffe_builds_it "$(cat log)" same_table --phase=TRAIN
sed -i 's/images/rows/g; s/\tData/\tHDF5Data/' wanted
check hdf5_data_takes_given_shapes "$(cat log)" same_table --phase=TEST --stage=rows
summed_up() { "$trainer" summary --model=net.prototxt --shape data=8,3,6,5 --shape label=8 >table 2>log && grep -q 'planned memory' table; }
check a_net_without_its_data_set_is_compiled "$(cat log)" summed_up

# 24 GiB of parameters, gradients and history: planned without allocating them.
cat >huge.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 40000 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 50000 } }
layer { name: "loss" type: "Power" bottom: "a" top: "loss" loss_weight: 1 }
NET
huge_summed_up() {
  (ulimit -v 50000000 && timeout 10 "$trainer" summary --model=huge.prototxt >table 2>log) && grep -q 'planned memory: 22.4 GiB' table
}
check a_net_larger_than_memory_is_summed_up "$(cat log)" huge_summed_up

# refused CODE TEXT COMMAND...
refused() {
  local code=$1 text=$2
  shift 2
  "$trainer" "$@" >out 2>log
  [ $? -eq "$code" ] && grep -qF -- "$text" log
}
check shapes_of_some_tops_are_not_enough "$(cat log)" refused 2 'the shape of its top "label" is not given' \
  summary --model=net.prototxt --shape data=8,3,6,5
check a_shape_for_no_top_is_refused "$(cat log)" refused 2 'a shape is given for "dta", which is not a top of a data layer' \
  summary --model=net.prototxt --shape dta=8,3,6,5
check a_missing_data_set_names_the_flag "$(cat log)" refused 3 '--shape data=16,3,227,227' summary --model=net.prototxt
for wrong in data data= =1 data=1,x data=0,3 data=99999,99999 data=-1; do
  check "shape_$wrong" "$(cat log)" refused 2 "--shape $wrong: " summary --model=net.prototxt --shape "$wrong"
done

# upgraded WANTED IN [FLAG...]: upgrades IN to the text WANTED; a second call changes nothing.
upgraded() {
  local wanted=$1 in=$2
  shift 2
  rm -f out.prototxt again.prototxt
  "$trainer" upgrade "$in" out.prototxt "$@" 2>log && diff <(printf '%s\n' "$wanted") out.prototxt >&2 &&
    "$trainer" upgrade out.prototxt again.prototxt "$@" 2>log && grep -q 'already in latest proto format' log &&
    cmp -s out.prototxt again.prototxt
}
cat >old.prototxt <<'NET'
input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 0.1
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.12345678 } } }
NET
check a_net_of_v1_is_upgraded "$(cat log)" upgraded 'layer {
  name: "input"
  type: "Input"
  top: "x"
  input_param {
    shape {
      dim: 1
      dim: 2
      dim: 3
      dim: 4
    }
  }
}
layer {
  name: "c"
  type: "Convolution"
  bottom: "x"
  top: "c"
  param {
    lr_mult: 1
    decay_mult: 0.1
  }
  param {
    lr_mult: 2
  }
  convolution_param {
    num_output: 4
    kernel_size: 3
    weight_filler {
      type: "gaussian"
      std: 0.12345678
    }
  }
}' old.prototxt
echo 'net: "n" base_lr: 1e-8 solver_type: ADAM random_seed: 3' >old_solver.prototxt
check a_solver_is_upgraded_and_keeps_its_prefix_unset "$(cat log)" upgraded 'base_lr: 1e-08
random_seed: 3
net: "n"
type: "Adam"' old_solver.prototxt
check an_upgrade_in_place "$(cat log)" eval 'cp old_solver.prototxt same.prototxt && "$trainer" upgrade same.prototxt same.prototxt --overwrite 2>log && grep -q Adam same.prototxt'
echo precious >kept
check an_upgrade_overwrites_nothing "$(cat log)" refused 3 'replace it with --overwrite' upgrade old.prototxt kept
check an_upgrade_in_place_is_asked_for "$(cat log)" refused 3 'replace it with --overwrite' upgrade old.prototxt old.prototxt
check what_exists_is_kept "$(cat kept)" grep -q precious kept
check both_solver_types_are_refused "$(cat log)" eval \
  'echo "solver_type: ADAM type: \"Adam\"" >bad && refused 2 "solver_type" upgrade bad never && [ ! -e never ]'
check an_unreadable_net_is_refused "$(cat log)" eval 'echo "layer { nmae: 1" >bad && refused 2 nmae upgrade bad never && [ ! -e never ]'
check a_missing_file_is_refused "$(cat log)" refused 3 nowhere upgrade nowhere never
# A solver state: iter 1, learned_net "ab".
printf '\x08\x01\x12\x02ab' >bad
check another_binary_file_is_refused "$(cat log)" refused 3 'is not a binary net' upgrade bad never
cat >left_out.prototxt <<'NET'
layers { bottom: "x" top: "r" layer { name: "r" type: "relu" num_output: 3 } }
NET
check what_has_no_counterpart_is_told "$(cat log)" eval 'refused 2 num_output upgrade left_out.prototxt partly && grep -q ReLU partly'

# Binary weights in V1 format, encoded by hand. Field numbers: net name 1, `layers` 2 {name 4, type 5 (14: INNER_PRODUCT),
# blobs 6 {num 1, channels 2, height 3, width 4, data 5}, blobs_lr 7}.
printf '\x0a\x01n\x12\x1f\x22\x02ip\x28\x0e\x32\x12\x08\x01\x10\x01\x18\x01\x20\x02\x2a\x08\0\0\x80\x3f\0\0\0\x40\x3d' >v1.caffemodel
check a_cut_weight_file_is_refused "$(cat log)" refused 3 'is not a binary net' upgrade v1.caffemodel never
printf '\x0a\x01n\x12\x1f\x22\x02ip\x28\x0e\x32\x12\x08\x01\x10\x01\x18\x01\x20\x02\x2a\x08\0\0\x80\x3f\0\0\0\x40\x3d\0\0\x80\x3f' >v1.caffemodel
decoded() { protoc -I "$source_folder/proto" --decode=caffe.NetParameter trainer.proto; }
weights_upgraded() {
  "$trainer" upgrade v1.caffemodel new.caffemodel 2>log && decoded <new.caffemodel >text &&
    diff text - <<'NET' >&2
name: "n"
layer {
  name: "ip"
  type: "InnerProduct"
  param {
    lr_mult: 1
  }
  blobs {
    num: 1
    channels: 1
    height: 1
    width: 2
    data: 1
    data: 2
  }
}
NET
}
check weights_of_v1_are_upgraded "$(cat log)" weights_upgraded

# Features of 4 rows with two columns: y = W x + b, followed by an in-place relu.
printf 'a,b\n1,2\n3,4\n5,6\n7,8\n' >rows.csv
"$trainer" convert hdf5 data=rows.csv rows.h5 >/dev/null
cat >features.prototxt <<'NET'
name: "features"
layer { name: "rows" type: "HDF5Data" top: "data" hdf5_data_param { source: "rows.h5.txt" batch_size: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "ip" top: "sum" }
NET
encoded() { protoc -I "$source_folder/proto" --encode=caffe.NetParameter trainer.proto; }
encoded >w.caffemodel <<'NET'
layer { name: "ip" type: "InnerProduct"
  blobs { shape { dim: 3 dim: 2 } data: 1 data: 0 data: 0 data: -1 data: 1 data: 1 }
  blobs { shape { dim: 3 } data: 0.5 data: 5 data: 0 } }
NET
extract() { "$trainer" extract_features w.caffemodel features.prototxt "$@" 2>log; }
# npy_is FILE SHAPE VALUES
npy_is() {
  head -c 128 "$1" | grep -qaF "'descr': '<f4', 'fortran_order': False, 'shape': ($2)" &&
    [ "$(tail -c +129 "$1" | od -An -v -tf4 -w4 | tr -d ' ' | tr '\n' ' ')" = "$3 " ]
}
# Row x: relu(x0 + 0.5, 5 - x1, x0 + x1).
relu_rows='1.5 3 3 3.5 1 7 5.5 0 11 7.5 0 15'
features_to_npy() {
  extract ip,data,sum,ip_relu_0_split_1 ip.npy,data.npy,sum.npy,copy.npy 2 npy && npy_is ip.npy '4, 3, ' "$relu_rows" &&
    npy_is data.npy '4, 2, ' '1 2 3 4 5 6 7 8' && npy_is sum.npy '4, 3, ' '3 6 6 7 2 14 11 0 22 15 0 30' &&
    cmp -s ip.npy copy.npy
}
check features_go_to_arrays "$(cat log)" features_to_npy
# Reads the files back through the layers that read their formats.
read_back() {
  cat >back.prototxt
  "$trainer" extract_features w.caffemodel back.prototxt ip back.npy "$1" npy 2>log && npy_is back.npy "$2" "$relu_rows"
}
features_to_hdf5() {
  extract ip ip.h5 2 hdf5 CPU && echo ip.h5 >ip.h5.txt && rm -f back.npy && read_back 4 '4, 3, ' <<'NET'
layer { name: "rows" type: "HDF5Data" top: "ip" hdf5_data_param { source: "ip.h5.txt" batch_size: 1 } }
layer { name: "d" type: "DummyData" top: "data2" dummy_data_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data2" top: "other" inner_product_param { num_output: 3 } }
NET
}
check features_go_to_hdf5 "$(cat log)" features_to_hdf5
features_to_lmdb() {
  extract ip ip_lmdb 2 lmdb && rm -f back.npy && read_back 1 '4, 3, 1, 1, ' <<'NET'
layer { name: "rows" type: "Data" top: "ip" data_param { source: "ip_lmdb" batch_size: 4 backend: LMDB } }
layer { name: "d" type: "DummyData" top: "data2" dummy_data_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data2" top: "other" inner_product_param { num_output: 3 } }
NET
}
check features_go_to_a_database "$(cat log)" features_to_lmdb
check an_unknown_blob_is_named "$(cat log)" refused 2 'unknown blob "pi" in the net "features", did you mean "ip"?' \
  extract_features w.caffemodel features.prototxt pi x.npy 1 npy
check an_unknown_kind_is_named "$(cat log)" refused 2 'lmdb, leveldb' extract_features w.caffemodel features.prototxt ip x 1 level
check nothing_is_overwritten "$(cat log)" refused 3 'ip.npy exists already' \
  extract_features w.caffemodel features.prototxt ip ip.npy 1 npy
check two_blobs_need_two_files "$(cat log)" refused 2 'one output for each blob' \
  extract_features w.caffemodel features.prototxt ip,data x.npy 1 npy
check five_words_show_the_usage "$(cat log)" refused 2 'usage: trainer extract_features WEIGHTS' extract_features w.caffemodel a b c 1

# Weights in old formats: four legacy extents, right-aligned; double_data; V1 layers. `shape` must match exactly.
old_weights_fit() {
  encoded >old.caffemodel && rm -f old.npy && "$trainer" extract_features old.caffemodel features.prototxt ip old.npy 2 npy 2>log &&
    npy_is old.npy '4, 3, ' "$relu_rows"
}
check legacy_extents_and_doubles_in_v1_layers "$(cat log)" old_weights_fit <<'NET'
layers { name: "ip" type: INNER_PRODUCT
  blobs { num: 1 channels: 1 height: 3 width: 2 data: [1, 0, 0, -1, 1, 1] }
  blobs { num: 1 channels: 1 height: 1 width: 3 double_data: [0.5, 5, 0] } }
NET
check v0_layers "$(cat log)" old_weights_fit <<'NET'
layers { layer { name: "ip" type: "innerproduct"
  blobs { num: 1 channels: 1 height: 3 width: 2 data: [1, 0, 0, -1, 1, 1] } blobs { width: 3 height: 1 channels: 1 num: 1 data: [0.5, 5, 0] } } }
NET
encoded >old.caffemodel <<'NET'
layer { name: "ip" blobs { shape { dim: [1, 1, 3, 2] } data: [1, 0, 0, -1, 1, 1] } blobs { shape { dim: 3 } data: [1, 2, 3] } }
NET
check shapes_must_fit_exactly "$(cat log)" refused 3 '1 1 3 2 (6) in the file, 3 2 (6) in the net' \
  extract_features old.caffemodel features.prototxt ip x.npy 1 npy

# A sparse file: it needs no space on the disk.
truncate -s 3G large.caffemodel
check binary_nets_end_at_2_gib "$(cat log)" refused 3 'a binary net of Caffe has at most 2147483647 bytes' upgrade large.caffemodel never --type=weights
check a_file_of_nothing_is_no_weights "$(cat log)" refused 3 'large.caffemodel is not a readable weight file' \
  extract_features large.caffemodel features.prototxt ip x.npy 1 npy

# With "/" in names of layers, HDF5 snapshots nest groups and can be read back.
write_tiny_net net.prototxt
sed -i 's#"conv"#"block/conv"#g' net.prototxt
write_solver solver.prototxt "max_iter: 2 snapshot_prefix: 'nested' snapshot_format: HDF5"
nested_names() {
  "$trainer" train --solver=solver.prototxt --run_dir= 2>log &&
    "$trainer" train --solver=solver.prototxt --run_dir= --set max_iter=3 --snapshot=nested_iter_2.solverstate.h5 2>log &&
    grep -q 'nested_iter_2.caffemodel.h5: 2 layers loaded\|Model from nested_iter_2.caffemodel.h5' log
}
check names_with_slashes_in_hdf5 "$(cat log)" nested_names
sed -i 's#"block/conv"#"block//conv"#g' net.prototxt
check names_that_hdf5_cannot_keep_are_told_at_once "$(cat log)" eval \
  "refused 3 'HDF5 cannot keep the layer \"block//conv\"' train --solver=solver.prototxt --run_dir= && ! grep -q Iteration log"
sed -i 's/num_output: 3 /num_output: 20000000 /' net.prototxt
write_solver solver.prototxt "max_iter: 2 snapshot_prefix: 'large'"
check weights_past_2_gib_are_told_at_once "$(cat log)" eval \
  "refused 3 'Set snapshot_format: HDF5' train --solver=solver.prototxt --run_dir= && ! grep -q Iteration log"

cat >old.prototxt <<'NET'
layers { name: "x" type: RELU bottom: "x" top: "y" }
input: "x" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1
NET
upgraded_to_a_pipe() { "$trainer" upgrade old.prototxt /dev/stdout 2>log | grep -q 'type: "ReLU"' && [ -L /dev/stdout ]; }
check upgrade_writes_to_a_pipe "$(cat log)" upgraded_to_a_pipe

cat >writes.prototxt <<'NET'
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "o" type: "HDF5Output" bottom: "d" bottom: "l" hdf5_output_param { file_name: "out.h5" } }
NET
timing_writes_nothing() { "$trainer" time --model=writes.prototxt --iterations=2 >log 2>&1 && [ ! -e out.h5 ]; }
check timing_writes_no_hdf5_output "$(tail -n 1 log)" timing_writes_nothing

cat >timed.prototxt <<'NET'
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "f" type: "InnerProduct" bottom: "d" top: "f" inner_product_param { num_output: 1 } include { stage: "s" } }
layer { name: "o" type: "EuclideanLoss" bottom: "f" bottom: "l" include { stage: "s" } }
NET
echo 'net: "timed.prototxt" type: "AdamW" momentum: 0.9 ema { } base_lr: 0.1 lr_policy: "fixed" max_iter: 5' >timed_solver.prototxt
times_the_update() {
  "$trainer" time --solver=timed_solver.prototxt --stage=s --iterations=2 >log 2>&1 &&
    grep -q 'Average Update: [0-9]' log && [ "$(echo timed_solver*)" = timed_solver.prototxt ]
}
check timing_of_a_solver_has_its_update "$(tail -n 1 log)" times_the_update
finish
