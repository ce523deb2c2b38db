#!/bin/bash
# The commands that stand for Caffe's tools: what `summary --caffe` and `upgrade` write, word for word.
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

# Worked out by hand from Caffe's rules: a Split behind every blob with two readers, three blobs of BatchNorm, and the
# shared kernel at both layers.
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

# refused CODE TEXT COMMAND...
refused() {
  local code=$1 text=$2
  shift 2
  "$trainer" "$@" >out 2>log
  [ $? -eq "$code" ] && grep -qF -- "$text" log
}
check shapes_of_some_tops_are_not_enough "$(cat log)" refused 2 'the shape of its top "label" is not given' \
  summary --model=net.prototxt --shape data=8,3,6,5
check a_shape_for_no_top_is_refused "$(cat log)" refused 2 'a shape is given for "dta", which is no top of a data layer' \
  summary --model=net.prototxt --shape dta=8,3,6,5
check a_missing_data_set_names_the_flag "$(cat log)" refused 3 '--shape data=16,3,227,227' summary --model=net.prototxt
for wrong in data data= =1 data=1,x data=0,3 data=99999,99999 data=-1; do
  check "shape_$wrong" "$(cat log)" refused 2 "--shape $wrong: " summary --model=net.prototxt --shape "$wrong"
done

# upgraded WANTED IN [FLAG...]: the text that comes out, and nothing more to do for a second call.
upgraded() {
  local wanted=$1 in=$2
  shift 2
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
check an_upgrade_in_place "$(cat log)" eval 'cp old_solver.prototxt same.prototxt && "$trainer" upgrade same.prototxt same.prototxt 2>log && grep -q Adam same.prototxt'
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

# Binary weights of the V1 age, written by hand: net name 1, `layers` 2 {name 4, type 5 (14: INNER_PRODUCT), blobs 6
# {num 1, channels 2, height 3, width 4, data 5}, blobs_lr 7}.
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

finish
