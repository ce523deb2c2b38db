#!/bin/bash
# Tests `trainer export` from the command line: formats, existing files, mistakes.
#
#   tests/system/export.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

cat >net.prototxt <<'NET'
name: "small"
layer {
  name: "data" type: "Input" top: "data" include { phase: TRAIN } input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } }
}
layer {
  name: "pictures" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.01 mean_value: 104 mean_value: 117 mean_value: 123 channel_order: RGB }
  data_param { source: "nowhere" batch_size: 2 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: "msra" } }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } }
}
layer { name: "t" type: "Reduction" bottom: "ip" top: "t" include { phase: TRAIN } loss_weight: 1 }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TEST } }
NET
cat >solver.prototxt <<'SOLVER'
train_net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 2 random_seed: 1 solver_mode: CPU
snapshot_prefix: "w"
SOLVER
touch err
check trains "" eval '"$trainer" train --solver=solver.prototxt --fill data=gaussian --run_dir= >log 2>&1'
export_net() {
  "$trainer" export --model=net.prototxt --weights=w_iter_2.caffemodel --shape data=2,3,9,9 "$@" >out 2>err
}
verified() { grep -q "^I.* computes the outputs of the net on random inputs; the largest difference is [0-9.e-]* of" err; }

check onnx "$(cat err)" eval 'export_net --output=net.onnx && verified && [ -s net.onnx ]'
check onnx_has_names "" eval 'grep -qa "conv/0" net.onnx && grep -qa prob net.onnx && ! grep -qa BatchNormalization net.onnx'
check keeps_batch_norm "$(cat err)" eval 'export_net --output=bn.onnx --keep_bn && grep -qa BatchNormalization bn.onnx'
check preprocessing "$(cat err)" eval 'export_net --output=pixels.onnx --with_preprocessing && grep -q "channels R, G, B" err && grep -qa data/mean pixels.onnx'
# `train --weights` reads tensors by name: the weights of the snapshot come back, BatchNorm's sums included.
trains_from() {
  "$trainer" train --solver=solver.prototxt --fill data=gaussian --run_dir= --weights="$1" \
    --set max_iter=1 --set base_lr=0 --set 'layer[bn].batch_norm_param.use_global_stats=true' --set snapshot_prefix=back >log 2>&1 &&
    grep -q "Weights from $1: 3 layers loaded, 0 fresh, 0 mismatched, 0 unused" log &&
    "$trainer" weights compare w_iter_2.caffemodel back_iter_1.caffemodel >differences
}
for format in npz safetensors; do
  check $format "$(cat err)" eval 'export_net --output=net.$format && verified && grep -qa "ip/1" net.$format'
  check ${format}_has_the_weights "$(cat err)" eval '"$trainer" weights compare w_iter_2.caffemodel net.$format >differences'
  check trains_from_$format "$(cat log differences)" trains_from net.$format
done
check weights_writes_npz "$(cat err)" eval '"$trainer" weights merge net.safetensors --output=merged.npz 2>err && cmp merged.npz net.npz'
check pair "$(cat err)" eval 'export_net --output=pair/ && verified && [ "$(ls pair)" = "deploy.prototxt
weights.caffemodel" ]'
check pair_is_clean "$(cat pair/deploy.prototxt)" eval '! grep -E "phase|include|filler|label|Loss|BatchNorm|nowhere" pair/deploy.prototxt && grep -q "type: \"Input\"" pair/deploy.prototxt'
check pair_is_exported_again "$(cat err)" eval '"$trainer" export --model=pair/deploy.prototxt --weights=pair/weights.caffemodel --output=again.onnx 2>err && verified'
check folder_of_net_and_solver "$(cat err)" eval '"$trainer" export --run=. --shape data=2,3,9,9 --output=run.onnx 2>err && cmp run.onnx net.onnx'
check folder_without_slash "$(cat err)" eval 'mkdir there && export_net --output=there && [ -s there/deploy.prototxt ]'

code() { # CODE TEXT ARGUMENTS...
  local expected=$1 text=$2
  shift 2
  export_net "$@"
  [ $? = "$expected" ] && grep -qF -- "$text" err
}
cp net.onnx before
check keeps_existing_files "$(cat err)" code 3 "--overwrite" --output=net.onnx
check keeps_existing_pairs "$(cat err)" code 3 "--overwrite" --output=pair/
check leaves_the_existing_file "" cmp net.onnx before
check overwrites "$(cat err)" code 0 "computes the outputs" --output=net.onnx --overwrite
check missing_data "$(cat err)" eval '! "$trainer" export --model=net.prototxt --weights=w_iter_2.caffemodel --output=o.onnx 2>err && grep -q nowhere err && grep -q -- "--shape data=" err'
check opset_too_old "$(cat err)" code 2 "--opset is 9" --output=o.onnx --opset=9
cat >columns.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "columns" type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 3 } }
NET
check caffe_reads_more_layers "$(cat err)" eval '"$trainer" export --model=columns.prototxt --weights=none --output=columns/ 2>err && [ -s columns/deploy.prototxt ]'
check unsupported_mode "$(cat err)" code 2 'layer "bn" (BatchNorm) has no counterpart in ONNX: it normalizes with the statistics of the batch' --output=o.onnx --set 'layer[bn].batch_norm_param.use_global_stats=false'
# A product whose terms cancel: rounded sums have no correct digit.
cat >cancels.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 1 } } }
layer { name: "three" type: "Tile" bottom: "x" top: "three" tile_param { tiles: 3 } }
layer {
  name: "y" type: "InnerProduct" bottom: "three" top: "y" inner_product_param { num_output: 1 bias_term: false }
  blobs { shape { dim: 1 dim: 3 } data: 1e8 data: 1 data: -1e8 }
}
NET
check different_outputs "$(cat err)" eval '"$trainer" export --model=cancels.prototxt --weights=none --allow_fresh --output=cancels.onnx 2>err; [ $? = 1 ] && grep -q "cancels.onnx.unverified does not compute the outputs" err'
check unverified_file_stays "" eval '[ -s cancels.onnx.unverified ] && [ ! -e cancels.onnx ] && rm cancels.onnx.unverified'
# Marks of sequences that the net computes: zeros of the first step and ones of the others, whatever the input is.
marks_net() { # SHIFT: the marks of the other steps
  cat <<NET
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 3 } } }
layer { name: "steps" type: "Permute" bottom: "x" top: "steps" permute_param { order: 1 order: 0 order: 2 } }
layer { name: "sums" type: "Reduction" bottom: "steps" top: "sums" reduction_param { axis: 2 } }
layer {
  name: "sum" type: "Slice" bottom: "sums" top: "first" top: "others" slice_param { slice_point: 1 axis: 0 }
}
layer { name: "begin" type: "Power" bottom: "first" top: "begin" power_param { scale: 0 } }
layer { name: "continue" type: "Power" bottom: "others" top: "continue" power_param { $1 } }
layer { name: "cont" type: "Concat" bottom: "begin" bottom: "continue" top: "cont" concat_param { axis: 0 } }
layer {
  name: "lstm" type: "LSTM" bottom: "steps" bottom: "cont" top: "y"
  recurrent_param { num_output: 5 weight_filler { type: "xavier" } }
}
NET
}
marks_net "scale: 0 shift: 1" >marks.prototxt
export_marks() { "$trainer" export --model=marks.prototxt --weights=none --allow_fresh --output="$1" 2>err; }
check computed_marks "$(cat err)" eval 'export_marks marks.onnx && verified && ! grep -q "fixed batch" err && grep -q "The model lacks \"cont\"" err'
check computed_marks_are_removed "" eval 'grep -qa LSTM marks.onnx && ! grep -qaE "ReduceSum|sums|cont" marks.onnx'
marks_net "scale: 1" >marks.prototxt
check marks_of_values "$(cat err)" eval 'export_marks o.onnx; [ $? = 2 ] && grep -q "its marks of sequences, \"cont\", are neither an input" err'
marks_net "scale: 0" >marks.prototxt
check marks_of_many_sequences "$(cat err)" eval 'export_marks o.onnx; [ $? = 2 ] && grep -q "its marks of sequences, \"cont\", are neither an input" err'
cat >infinite.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 2 } } }
layer {
  name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 }
  blobs { shape { dim: 1 dim: 2 } data: 1 data: 2 }
  blobs { shape { dim: 1 } data: inf }
}
NET
infinite() { "$trainer" export --model=infinite.prototxt --weights=none --allow_fresh --output="$1" 2>err; }
for output in o.onnx o.npz o/; do
  check infinite_weights_$output "$(cat err)" eval 'infinite $output; [ $? = 3 ] && grep -q "blob 1 of layer \"y\" (InnerProduct) has values that are infinite" err'
done
cat >roots.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 } } }
layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { power: 0.5 } }
NET
check outputs_without_numbers "$(cat err)" eval '"$trainer" export --model=roots.prototxt --weights=none --output=roots.onnx 2>err; [ $? = 1 ] && grep -q "values of the blob \"y\" that are infinite or not numbers" err && ! grep -q "computes the outputs" err'
check unchecked_file_stays "" eval '[ -s roots.onnx.unverified ] && [ ! -e roots.onnx ] && rm roots.onnx.unverified'
# OpenCV ignores `transpose`: the pair has the weights of each output in a row.
cat >transposed.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer {
  name: "y" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 bias_term: false transpose: true }
  blobs { shape { dim: 3 dim: 2 } data: 1 data: 2 data: 3 data: 4 data: 5 data: 6 }
}
NET
cat >rows.prototxt <<'NET'
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer {
  name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 bias_term: false }
  blobs { shape { dim: 2 dim: 3 } data: 1 data: 3 data: 5 data: 2 data: 4 data: 6 }
}
NET
for weights in transposed rows; do
  check pair_of_$weights "$(cat err)" eval '"$trainer" export --model=$weights.prototxt --weights=none --allow_fresh --output=$weights/ 2>err && verified'
done
check transposed_weights "" eval '! grep -q transpose transposed/deploy.prototxt && cmp transposed/weights.caffemodel rows/weights.caffemodel'
# Caffe and OpenCV have different fields for pooling that rounds down.
pooling_net() { # EXTENT
  cat <<NET
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: $1 dim: $1 } } }
layer {
  name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }
}
NET
}
export_pooling() { # EXTENT
  pooling_net $1 >pool.prototxt
  "$trainer" export --model=pool.prototxt --weights=none --output=pool$1/ 2>err && verified && ! grep round_mode pool$1/deploy.prototxt
}
check rounding_without_effect "$(cat err)" eval 'export_pooling 6 && ! grep -q "ceil_mode" pool6/deploy.prototxt err'
check rounding_down "$(cat err)" eval 'export_pooling 7 && grep -q "ceil_mode: false" pool7/deploy.prototxt && grep -q "ceil_mode: false.*layer \"y\" (Pooling)" err'
# A net without data layers: the preparation of pictures that it notes.
cat >noted.prototxt <<'NET'
picture_input {
  new_height: 8 new_width: 9 transform_param { scale: 0.5 mean_value: 104 crop_size: 5 channel_order: RGB }
}
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "y" type: "ReLU" bottom: "x" top: "y" }
NET
export_noted() { "$trainer" export --model=noted.prototxt --weights=none --overwrite --output=noted.onnx "$@" 2>err && verified; }
check noted_preparation "$(cat err)" eval 'export_noted && grep -qa "mean_value: 104" noted.onnx && grep -qa "crop_size: 5" noted.onnx && grep -qa new_height noted.onnx'
check noted_preprocessing "$(cat err)" eval 'export_noted --with_preprocessing && grep -q "channels R, G, B" err && grep -qa x/mean noted.onnx && grep -qa "crop_size: 5" noted.onnx && ! grep -qa mean_value noted.onnx'
# A Reshape that states the batch: batches of other sizes do not fit the weights after it.
reshape_net() { # BATCH
  cat <<NET
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: $1 dim: 8 } } }
layer { name: "rows" type: "Reshape" bottom: "x" top: "rows" reshape_param { shape { dim: $1 dim: -1 } } }
layer {
  name: "y" type: "InnerProduct" bottom: "rows" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
NET
}
for batch in 1 4; do
  reshape_net $batch >reshape.prototxt
  check stated_batch_$batch "$(cat err)" eval '"$trainer" export --model=reshape.prototxt --weights=none --allow_fresh --output=rows$batch.onnx 2>err && verified && grep -q "the model has a fixed batch" err'
done
check nothing_is_left "$(ls -A)" eval '! ls -A | grep -E "^o\.|tmp|unverified"'

finish
