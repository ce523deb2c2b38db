#!/bin/bash
# Tests `trainer predict` on pictures, folders, lists, the standard input, rows of HDF5 files and masks.
#
#   tests/system/predict.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# Dark and bright pictures in folders of classes.
picture() { # FILE GREY
  local row="" x
  for ((x = 0; x < 6; x++)); do row+="$2 $2 $2 "; done
  { echo "P3 6 6 255"; for ((x = 0; x < 6; x++)); do echo "$row"; done; } >"$1"
}
mkdir -p data/bright data/dark
for ((i = 0; i < 6; i++)); do
  picture "data/dark/d $i.ppm" $((10 + 5 * i))
  picture "data/bright/b $i.ppm" $((200 + 5 * i))
done
cat >net.prototxt <<'NET'
name: "brightness"
layer {
  name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.01 }
  image_data_param { source: "data" batch_size: 5 shuffle: true }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
NET
cat >solver.prototxt <<'SOLVER'
net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 max_iter: 60 random_seed: 1 solver_mode: CPU
snapshot_prefix: "w" test_epochs: 1 test_interval: 20 best { metric: "accuracy" mode: MAX } snapshot: 30
SOLVER
touch err
check trains "" eval '"$trainer" train --solver=solver.prototxt >log 2>&1'
predict() { "$trainer" predict --model=net.prototxt --weights=w_iter_60.caffemodel "$@" 2>err; }

right() { # OUTPUT: 12 lines, each with the class of its folder first
  [ "$(wc -l <"$1")" = 12 ] && [ "$(grep -cE '^data/(bright|dark)/. [0-9].ppm: (bright|dark) (0\.[0-9]{4}|1\.0000), ' "$1")" = 12 ] &&
    ! grep -E '/dark/.*: bright|/bright/.*: dark' "$1"
}
check folder "$(cat err)" eval 'predict data >out && right out'
check each_once "" eval '[ "$(cut -d: -f1 out | sort -u | wc -l)" = 12 ]'
check files_keep_their_order "" eval 'predict "data/dark/d 3.ppm" "data/bright/b 1.ppm" --top_k=1 >two && [ "$(cut -d: -f1 two | tr "\n" ,)" = "data/dark/d 3.ppm,data/bright/b 1.ppm," ]'
find data -name '*.ppm' | sort >all.txt
check list "$(cat err)" eval 'predict all.txt >out2 && cmp out out2'
check standard_input "$(cat err)" eval 'predict - <all.txt >out3 && cmp out out3'
sed 's/$/ 1/' all.txt >labelled.txt
check list_with_labels "$(cat err)" eval 'predict labelled.txt >out4 && cmp out out4'
check any_batch_size "$(cat err)" eval 'predict data --set layer[data].image_data_param.batch_size=64 >out5 && cmp out out5'
check json "$(cat err)" eval 'predict data --format=json --top_k=1 >out.json && [ "$(grep -c "^{\"name\":\"data/.*\"classes\":\[{\"class\":[01],\"name\":\"\(bright\|dark\)\",\"probability\":[0-9.e-]*}\]}$" out.json)" = 12 ]'
check csv "$(cat err)" eval 'predict data --format=csv >out.csv && [ "$(wc -l <out.csv)" = 25 ] && head -n 1 out.csv | grep -q "^name,rank,class,class_name,probability$"'
check output_file "$(cat err)" eval 'predict data --output=p.txt >nothing && cmp p.txt out && [ ! -s nothing ]'
check keeps_existing_files "$(cat err)" eval '! predict data --output=p.txt && grep -q -- --overwrite err'
check overwrites "$(cat err)" eval 'predict data/dark --output=p.txt --overwrite && [ "$(wc -l <p.txt)" = 6 ]'
check other_blob "$(cat err)" eval 'predict data --blob=ip >values && grep -qE "^data/dark/d 0.ppm: -?[0-9.e-]+ -?[0-9.e-]+$" values'

# The run folder names its net and weights, also from another working folder.
run=$(realpath w_run/*)
best() { "$trainer" predict --model=net.prototxt --weights=w_best.caffemodel data >best.out 2>err; }
of_run() { "$trainer" predict --run="$run" "$@" 2>err; }
check run_folder "$(cat err)" eval 'best && of_run data >run.out && cmp best.out run.out'
mkdir -p elsewhere && ln -s ../data elsewhere/data
check run_from_elsewhere "$(cat err)" eval '(cd elsewhere && of_run data) >run.out && cmp best.out run.out'
check weights_of_another_iteration "$(cat err)" eval 'of_run --weights=w_iter_60.caffemodel data >run.out && cmp out run.out'
check test_of_a_run_folder "$(cat err)" eval '"$trainer" test --run="$run" >run.table 2>err && "$trainer" test --model=net.prototxt --weights=w_best.caffemodel >best.table 2>err && cmp best.table run.table'
check export_of_a_run_folder "$(cat err)" eval '"$trainer" export --run="$run" --output=run.npz 2>err && "$trainer" weights compare w_best.caffemodel run.npz >differences'
check export_has_the_classes "$(cat err)" eval '"$trainer" export --run="$run" --output=run.onnx 2>err && grep -qa "class_names" run.onnx && [ "$(grep -aA1 "bright$" run.onnx | tail -n 1 | cut -c 1-4)" = dark ]'
# A folder with net, solver and weights that was moved.
mkdir moved && cp net.prototxt w_best.caffemodel moved && sed 's|"w"|"/nowhere/w"|' solver.prototxt >moved/solver.prototxt
check moved_folder "$(cat err)" eval '"$trainer" predict --run=moved data >run.out 2>err && cmp best.out run.out && grep -q "Weights from .*moved/w_best.caffemodel" err'
mv w_best.caffemodel kept
head -c 100 w_iter_60.caffemodel >broken && cp w_iter_60.caffemodel whole && cp broken w_iter_60.caffemodel
check newest_intact_snapshot "$(cat err)" eval 'of_run data >run.out && grep -q "w_iter_30.caffemodel: 1 layers loaded" err'
mv kept w_best.caffemodel && mv whole w_iter_60.caffemodel
# A later training with the same prefix replaces the best weights, but not those of the snapshot.
sleep 3
"$trainer" train --solver=solver.prototxt --set max_iter=20 >log 2>&1
check not_the_weights_of_another_training "$(cat err)" eval 'of_run data >run.out && grep -q "those of another training" err && cmp out run.out'

code() { # CODE TEXT ARGUMENTS...
  local expected=$1 text=$2
  shift 2
  predict "$@" >/dev/null
  [ $? = "$expected" ] && grep -qF "$text" err
}
check missing_file "$(cat err)" code 3 "there is no file" nowhere.jpg
mkdir empty
check empty_folder "$(cat err)" code 3 "has no images" empty
check no_run "$(cat err)" eval '! "$trainer" predict --run=empty data >/dev/null 2>err && grep -q "empty has no net.prototxt" err'
check no_inputs "$(cat err)" code 2 "Need pictures"
echo "P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12" >data/tiny.ppm
check pictures_of_another_size_than_in_training "$(cat err)" code 3 "Pictures keep their own size in this net" data/tiny.ppm
rm data/tiny.ppm
check impossible_output "$(cat err)" code 3 "File name too long" data --output="$(printf 'x%.0s' {1..300})"
echo "no picture" >data/broken.jpg
check broken_picture "$(cat err)" code 3 "data/broken.jpg" data/broken.jpg

# A database of the same pictures: a picture is resized to the size of its records.
sed -n 's|^data/\(dark/.*\)$|\1 1|p; s|^data/\(bright/.*\)$|\1 0|p' all.txt >lmdb.txt
"$trainer" convert imageset data/ lmdb.txt train_lmdb >log 2>&1
sed 's|ImageData|Data|; s|image_data_param {.*|data_param { source: "train_lmdb" backend: LMDB batch_size: 5 }|' net.prototxt >lmdb.prototxt
check net_of_a_database "$(cat err)" eval 'predict data/dark data/bright --model=lmdb.prototxt >out6 && sort out6 | cut -d: -f1 | cmp - <(grep -v broken all.txt | sort) && [ "$(cut -d. -f3- out6 | head -n 1)" != "" ]'

# A net without data layers: the weights say how its training prepared pictures.
cat >deploy.prototxt <<'NET'
name: "deployed"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
NET
rm data/broken.jpg
check weights_prepare_pictures "$(cat err)" eval 'predict data --model=deploy.prototxt >out7 && cmp out out7'
"$trainer" weights merge w_iter_60.caffemodel --output=merged.h5 >log 2>&1
check hdf5_weights_prepare_pictures "$(cat err)" eval 'predict data --model=deploy.prototxt --weights=merged.h5 >out8 && cmp out out8'
"$trainer" weights merge w_iter_60.caffemodel --output=merged.safetensors >log 2>&1
check safetensors_prepare_pictures "$(cat err)" eval 'predict data --model=deploy.prototxt --weights=merged.safetensors >out8 && cmp out out8'
sed 's/^name.*/& picture_input { transform_param { scale: 0.01 } }/' deploy.prototxt >told.prototxt
check weights_show_the_preparation "$(cat err)" eval '"$trainer" weights list w_iter_60.caffemodel >list 2>err && grep -q "^classes: bright, dark$" list && grep -q "^picture_input {.* transform_param { scale: 0.01 } }$" list'
check net_prepares_pictures "$(cat err)" eval 'predict data --model=told.prototxt >out9 && cmp out out9'
sed 's/transform_param {/& crop_size: 4/' told.prototxt >small.prototxt
check pictures_of_another_size "$(cat err)" code 2 'takes pictures of 3x6x6, but pictures are prepared to be 3x4x4' data --model=small.prototxt
sed 's/scale: 0.01/scale: 0.02/' net.prototxt >brighter.prototxt
check other_preparation_warns "$(cat err)" eval 'predict data --model=brighter.prototxt >out10 && grep -q "Pictures are prepared differently: scale: 0.01 in w_iter_60.caffemodel, but scale: 0.02 in the net" err'
sed 's/net.prototxt/brighter.prototxt/; s/"w"/"x"/' solver.prototxt >fine.prototxt
check other_preparation_warns_in_training "$(cat log)" eval '"$trainer" train --solver=fine.prototxt --weights=w_iter_60.caffemodel >log 2>&1 && grep -q "Pictures are prepared differently" log'

# A sheet of the pictures.
check sheet "$(cat err)" eval 'predict data --output=sheet.png >nothing && [ ! -s nothing ] && head -c 4 sheet.png | grep -q PNG'
check sheet_keeps_files "$(cat err)" eval '! predict data --output=sheet.png && grep -q -- --overwrite err'

# A class of each pixel.
cat >pixels.prototxt <<'NET'
layer {
  name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.01 }
  image_data_param { source: "data" batch_size: 4 }
}
layer { name: "prob" type: "Softmax" bottom: "data" top: "prob" }
layer { name: "none" type: "Silence" bottom: "label" }
NET
masks() { "$trainer" predict --model=pixels.prototxt --weights=none "$@" 2>err; }
check masks_need_a_folder "$(cat err)" eval '! masks data/dark && grep -q -- --output=FOLDER err'
check masks "$(cat err)" eval 'masks data/dark --output=masks && [ "$(find masks -name "*.png" | wc -l)" = 6 ] && head -c 4 "masks/data/dark/d 0.png" | grep -q PNG'

cp "data/dark/d 0.ppm" "data/dark/d 0.pgm"
check two_pictures_of_a_mask "$(cat err)" eval '! masks data/dark --output=other && grep -q "d 0.pgm and data/dark/d 0.ppm have the same mask" err && [ ! -e other ]'
rm "data/dark/d 0.pgm"
check masks_are_kept "$(cat err)" eval '! masks data/dark --output=masks && grep -q -- --overwrite err'
check masks_need_no_file "$(cat err)" eval '! masks data/dark --output=m.csv && grep -q "must be a folder for masks" err'
check sheet_of_masks "$(cat err)" eval 'masks data/dark --output=masks.png && head -c 4 masks.png | grep -q PNG'

# Rows of an HDF5 file; the labels are not needed.
printf '0,1\n1,0\n2,2\n' >rows.csv
"$trainer" convert hdf5 data=rows.csv rows.h5 >log 2>&1
cat >rows.prototxt <<'NET'
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "none.txt" batch_size: 2 } }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "twice" bottom: "label" }
NET
check rows "$(cat err)" eval '"$trainer" predict --model=rows.prototxt --weights=none rows.h5 >rows 2>err; printf "0: 0 2\n1: 2 0\n2: 4 4\n" | cmp - rows'
finish
