#!/bin/bash
# Tests the way from a folder of images to a trained net: lists, databases of both kinds, mean files, ImageData, resume.
#
#   tests/system/pictures.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# 24 images of two sizes, bright on the left or on the right; paths contain spaces.
mkdir -p "my pictures"
picture() { # NAME WIDTH LEFT RIGHT
  local row="" x
  for ((x = 0; x < $2; x++)); do row+="$((x < $2 / 2 ? $3 : $4)) 60 30 "; done
  { echo "P3 $2 8 255"; for ((x = 0; x < 8; x++)); do echo "$row"; done; } >"my pictures/$1"
}
for ((i = 0; i < 24; i++)); do
  if ((i % 2)); then picture "$i left.ppm" 10 $((200 + i)) $((20 + i)); else picture "$i right.ppm" 8 $((20 + i)) $((200 + i)); fi
done
for ((i = 0; i < 24; i++)); do
  if ((i % 2)); then echo "$i left.ppm 1"; else echo "$i right.ppm 0"; fi
done >list.txt

cat >layers.txt <<'NET'
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
NET
write_net() { { echo 'name: "pictures"'; cat; cat layers.txt; } >net.prototxt; }
solver() { echo "net: 'net.prototxt' base_lr: 0.1 lr_policy: 'fixed' momentum: 0.9 random_seed: 3 max_iter: $1 solver_mode: CPU
  display: 4 average_loss: 1 snapshot: 10 snapshot_prefix: 'out/$2'" >solver.prototxt; }
learns() {
  "$trainer" train --solver=solver.prototxt --run_dir= >log 2>&1 && grep 'Train net output #0' log | tail -n 1 | grep -q 'accuracy = 1$'
}
mkdir out

convert() { "$trainer" convert imageset "my pictures/" list.txt "$@" >log 2>&1; }
convert_all() {
  convert train_lmdb --resize_height 8 --resize_width 8 --shuffle && grep -q '^24 records written to train_lmdb$' log &&
    convert train_leveldb -backend leveldb -resize_height=8 -resize_width=8 -shuffle
}
check databases_of_both_kinds "$(tail -n 3 log 2>&1)" convert_all
mean() { "$trainer" compute_mean -backend="$1" "train_$1" "$1.binaryproto" >log 2>&1 && grep -q 'Number of channels: 3' log; }
means_agree() { mean lmdb && mean leveldb && cmp lmdb.binaryproto leveldb.binaryproto; }
check means_of_both_agree "$(tail -n 3 log)" means_agree
# Every pixel has blue 30 and green 60.
check channel_means "$(cat log)" grep -qE 'mean_value channel \[0\]: 30$' log

for backend in lmdb leveldb; do
  write_net <<NET
layer {
  name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 mean_file: "$backend.binaryproto" }
  data_param { source: "train_$backend" batch_size: 8 backend: ${backend^^} shuffle: true }
}
NET
  solver 20 $backend
  check trains_on_$backend "$(tail -n 5 log)" learns
  sed -n 's/.*] *\(Train net output.*\)/\1/p' log >outputs_$backend
done
check both_kinds_train_alike "the outputs differ" cmp outputs_lmdb outputs_leveldb

write_net <<'NET'
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { scale: 0.01 mean_value: 30 mean_value: 60 mean_value: 120 crop_size: 8 }
  image_data_param { source: "list.txt" root_folder: "my pictures/" batch_size: 8 shuffle: true new_height: 9 new_width: 9 }
}
NET
solver 30 list
check trains_on_a_list "$(tail -n 5 log)" learns
mv out/list_iter_30.caffemodel whole.caffemodel
resumes() {
  "$trainer" train --solver=solver.prototxt --run_dir= --snapshot=out/list_iter_10.solverstate >log 2>&1 &&
    cmp whole.caffemodel out/list_iter_30.caffemodel
}
check a_list_resumes_bit_for_bit "$(tail -n 5 log)" resumes

# Tiles of 56 pixels below captions, 12 records side by side; the file is kept without --overwrite.
previews() {
  "$trainer" preview --model=net.prototxt --count=12 --draws=2 --output=sheet.png >log 2>&1 &&
    grep -q 'Wrote 12 records of layer "data" (ImageData), 2 draws each, to sheet.png' log &&
    [ "$(head -c 8 sheet.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] &&
    [ "$(head -c 24 sheet.png | tail -c 8 | od -An -tx1 | tr -d ' ')" = 000002d40000008b ] &&
    ! "$trainer" preview --model=net.prototxt --output=sheet.png >log 2>&1 && grep -q 'exists already' log &&
    "$trainer" preview --solver=solver.prototxt --output=sheet.png --overwrite >log 2>&1
}
check previews "$(cat log)" previews

# Images of two sizes in batches of one: one program per size.
write_net <<'NET'
layer {
  name: "list" type: "ImageData" top: "picture" top: "label" transform_param { scale: 0.01 }
  image_data_param { source: "list.txt" root_folder: "my pictures/" }
}
layer { name: "pool" type: "SPP" bottom: "picture" top: "data" spp_param { pyramid_height: 2 pool: AVE } }
NET
solver 12 sizes
check trains_on_pictures_of_changing_size "$(tail -n 5 log)" learns

echo "no picture" >"my pictures/4 right.ppm"
skips() {
  convert some_lmdb --encoded && grep -q '^23 records written to some_lmdb; 1 images could not be read$' log &&
    grep -q 'list.txt:5 (my pictures/4 right.ppm): skipped' log
}
check bad_pictures_are_left_out "$(tail -n 3 log)" skips
check what_exists_is_kept "$(tail -n 3 log)" grep -q 'some_lmdb exists already' <(convert some_lmdb; cat log)
check nothing_is_left_behind "$(ls)" [ -z "$(compgen -G '*.part-*')" ]

printf '\x01%3072s\x02%3072s' "" "" | tr ' ' '\100' >batch.bin
mkdir cifar && for i in 1 2 3 4 5; do cp batch.bin cifar/data_batch_$i.bin; done && cp batch.bin cifar/test_batch.bin
cifar() { "$trainer" convert cifar cifar . lmdb >log 2>&1 && grep -q '^10 records written to ./cifar10_train_lmdb and 2 to' log; }
check cifar "$(cat log)" cifar
# A conversion that is stopped leaves no files; this one would take minutes.
for ((i = 0; i < 200000; i++)); do echo "$((i % 24 / 2 * 2)) right.ppm 0"; done >long.txt
stopped() {
  "$trainer" convert imageset "my pictures/" long.txt "stopped_$1" "--backend=$1" --resize_height=400 --resize_width=400 >log 2>&1 &
  local pid=$! code
  wait_for 20 eval "compgen -G 'stopped_$1.part-*' >/dev/null" || return 1
  kill -TERM $pid
  wait $pid
  code=$?
  [ $code = 143 ] && [ -z "$(find . -name 'stopped_*')" ] && grep -q 'stopped by SIGTERM' log
}
check a_stopped_conversion_leaves_nothing "$(tail -n 1 log; ls)" stopped lmdb
check a_stopped_leveldb_conversion_leaves_nothing "$(tail -n 1 log; ls)" stopped leveldb
finish
