#!/bin/bash
# trainer validate: damaged data sets and what is said of each, the verdict as text and JSON, files that are no data,
# plans, and a stop by a signal.
#
#   tests/system/validate.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# picture FILE SEED [P3|P2] [SIDE]: random noise, so that no two pictures look alike.
picture() {
  local kind=${3:-P3} side=${4:-20} count
  mkdir -p "$(dirname "$1")"
  count=$((side * side * (kind == P3 ? 3 : 1)))
  [ "$kind" = P3 ] && count=$((side * side * 3)) || count=$((side * side))
  { echo "$kind $side $side 255"; awk -v n=$count -v s="$2" 'BEGIN { srand(s); for (i = 0; i < n; i++) print int(rand() * 256) }'; } >"$1"
}
# photos FOLDER SEED: 6 pictures of each of 3 classes.
photos() {
  local class i
  for class in cat dog fox; do
    for i in 1 2 3 4 5 6; do picture "$1/$class/$i.ppm" $(($2 * 1000 + ${#class} + i * 7 + $(printf %d "'$class"))); done
  done
}
photos train 1
photos test 2

# says CODE TEXT... -- ARGUMENTS: validate ends with this code and its output has each of these texts.
says() {
  local code=$1 texts=() text
  shift
  while [ "$1" != -- ]; do texts+=("$1"); shift; done
  shift
  "$trainer" validate "$@" >out 2>err
  local seen=$?
  [ $seen = "$code" ] || { echo "exit code $seen, expected $code"; cat out err; return 1; }
  for text in "${texts[@]}"; do
    grep -qF -- "$text" out || { echo "no \"$text\" in:"; cat out; return 1; }
  done
}
# validates NAME CODE TEXT... -- ARGUMENTS
validates() {
  local name=$1 reason
  shift
  if reason=$(says "$@"); then ok "$name"; else bad "$name" "$reason"; fi
}
last_line_is() { [ "$(tail -n 1 out)" = "$1" ]; }

validates sound_folders 0 "train       18         0  PNM color  20x20" "0  cat       6     6" -- train test
check verdict_of_sound_folders "$(tail -n 3 out)" last_line_is "No errors"

# Ten damaged data sets.
cp -r train broken; head -c 300 train/cat/1.ppm >broken/cat/1.ppm; : >broken/dog/2.ppm
validates broken_images 3 "error: 2 of 18 records cannot be used; repair or remove them" "broken/cat/1.ppm: " "broken/dog/2.ppm: " -- broken
check verdict_of_broken_images "$(tail -n 3 out)" last_line_is "1 error"

cp -r train empty_class; rm empty_class/fox/*
validates empty_class 3 'the class "fox" has no images in empty_class/fox: add images, or remove the folder' -- empty_class
mkdir empty
validates empty_folder 3 "empty has no folders: a folder of images has a folder for each class" -- empty
validates missing_folder 3 "nowhere" -- nowhere

cp -r test no_fox; rm -r no_fox/fox
validates missing_class 0 "warning: no_fox has no records of a class: 2 (fox); add records, or split the data again" -- train no_fox

cp -r test leaking; cp train/cat/[123].ppm leaking/dog/
for i in 1 2 3; do mv leaking/dog/$i.ppm leaking/dog/copy$i.ppm; done
validates duplicates_across 0 "warning: 3 records of leaking have the content of one of train, 3 of them with another label;" \
  "leaking/dog/copy1.ppm = train/cat/1.ppm" "a test on records of the training is too good" -- train leaking

cp -r train twice; cp train/cat/1.ppm twice/cat/again.ppm
validates duplicates_within 0 "warning: 1 record of twice has the content of an earlier one; remove the copies" \
  "twice/cat/again.ppm = twice/cat/1.ppm" -- twice

# A picture that differs in a few levels looks alike.
cp -r test similar; awk 'NR == 1 { print; next } { print NR % 97 ? $1 : ($1 + 2) % 256 }' train/cat/1.ppm >similar/cat/near.ppm
validates near_duplicates 0 "warning: 1 record of similar looks like one of train;" \
  "similar/cat/near.ppm ~ train/cat/1.ppm" -- train similar

(cd train && for class in cat dog fox; do for file in $class/*; do echo "$file $((${#class} - 3))"; done; done) >list.txt
net() { # the fields of image_data_param
  cat <<END
name: "small"
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param { $1 batch_size: 6 }
  transform_param { scale: 0.01 $2 }
}
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
END
}
net 'source: "list.txt" root_folder: "trian/"' >net.prototxt
validates wrong_root_folder 3 "none of its 18 records can be used, the first: list.txt:1 (cat/1.ppm): " \
  'is root_folder: "trian/" right? It is put before each path as it is' -- --model=net.prototxt
check one_message_for_a_wrong_root_folder "$(cat out)" test "$(grep -c error: out)" = 1

printf 'cat\ndog\n' >two.txt
net 'source: "train" labels: "two.txt"' >net.prototxt
validates too_few_names 3 'two.txt names 2 of the 3 folders of train: "fox" is missing' -- --model=net.prototxt

# A mask of 4x4 gray pixels of class 1.
base64 -d >mask.png <<<iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAEElEQVR42mNkZGBgYGJAIQAAdwAJ+/DzVwAAAABJRU5ErkJggg==
printf '%s\t%s\n' train/cat/1.ppm mask.png >masks.txt
net 'source: "masks.txt" label_kind: MASK' | sed 's/InnerProduct/Convolution/; s/inner_product_param {/convolution_param { kernel_size: 1/' >net.prototxt
validates mask_of_another_size 3 "the image is 20x20, but its mask mask.png is 4x4" -- --model=net.prototxt

sed 's/ 0$/ 7/; 2s/ [0-9]*$/ -1/' list.txt >labels.txt
net 'source: "labels.txt" root_folder: "train/"' >net.prototxt
validates wrong_labels 3 'records have a label that layer "loss" (SoftmaxWithLoss) does not accept, the first: labels.txt:1 (cat/1.ppm): its label is 7' \
  "net.prototxt:4" -- --model=net.prototxt

cp -r train mixed; picture mixed/cat/1.pgm 77 P2
(cd mixed && find . -name '*.p?m' | sed 's/$/ 0/' | sort) >mixed.txt
"$trainer" convert imageset mixed/ mixed.txt mixed_lmdb --encoded >log 2>&1
sed -e 's/type: "ImageData"/type: "Data"/; s/image_data_param { .*/data_param { source: "mixed_lmdb" backend: LMDB batch_size: 6 }/' net.prototxt >mixed.prototxt
validates gray_among_color 3 "some images are gray, others are in color" "1x20x20: 1 record, the first is record" \
  "3x20x20: 18 records" 'layer "data" (Data)' -- --model=mixed.prototxt
validates skipped_records 0 'warning: layer "data" (Data): the items have 2 sizes' -- --model=mixed.prototxt --set 'layer[data].data_param.skip_bad_records=true'

# A solver: the training and test nets, their memory, weights and snapshots.
net 'source: "train" validation_fraction: 0.3' >net.prototxt
cat >solver.prototxt <<'END'
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 4 snapshot: 2 snapshot_prefix: "run" random_seed: 1
test_iter: 1 test_interval: 2 solver_mode: CPU
END
validates solver 0 'solver of the net "small"' "TRAIN       12         0  PNM color  20x20           train" "TEST         6" "The training needs" -- --solver=solver.prototxt
check no_file_written "$(ls)" test ! -e run_iter_2.caffemodel
"$trainer" train --solver=solver.prototxt --run_dir= >log 2>&1
validates snapshot 0 "snapshot of iteration 2" "weights of" -- --solver=solver.prototxt --snapshot=run_iter_2.solverstate
validates files_by_content 0 "run_iter_4.caffemodel: weights of" "run_iter_2.solverstate: snapshot of iteration 2" \
  'solver.prototxt: solver of the net "small"' -- run_iter_4.caffemodel run_iter_2.solverstate solver.prototxt
validates weights_fit 0 "weights of" -- --model=net.prototxt --weights=run_iter_4.caffemodel
validates weights_of_another_net 3 "run_iter_4.caffemodel" -- --model=net.prototxt --weights=run_iter_4.caffemodel \
  --set 'layer[ip].inner_product_param.num_output=5'
head -c 100 run_iter_4.caffemodel >run_iter_2.caffemodel
validates damaged_snapshot 3 "differ from their manifest" -- --snapshot=run_iter_2.solverstate
validates mistake_in_the_net 2 'unknown field "num_outputs"' -- --set 'layer[ip].inner_product_param.num_outputs=5' --model=net.prototxt
validates memory 5 "memory" -- --solver=solver.prototxt --memory=1K

# The process has set up its handlers.
handles_sigterm() { grep -qE '^SigCgt:.*[4-7c-f][0-9a-f]{3}$' "/proc/$1/status"; }
# A signal ends the check. The list has one picture many times, so that the check takes long.
yes 'train/cat/1.ppm 0' | head -n 300000 >long.txt
OMP_NUM_THREADS=1 "$trainer" validate long.txt >out 2>err &
wait_for 20 handles_sigterm $!
kill -TERM $!
wait $!
check exit_code_after_a_signal "$?" test $? = 143
check message_after_a_signal "$(cat err)" grep -qF "stopped by SIGTERM: the check is not complete" err

# JSON is all of the standard output, a line that a JSON parser reads.
"$trainer" validate train leaking --json >out 2>err
check json_is_one_line "$(cat out)" test "$(wc -l <out)" = 1
for text in '"errors":0' '"warnings":1' '"exit_code":0' '"kind":"equal"' '"relabelled":3' '"class":2,"name":"fox","count":6' \
  '["train/cat/1.ppm","leaking/dog/copy1.ppm"]' '"severity":"warning"'; do
  check "json_has_$text" "$(cat out)" grep -qF -- "$text" out
done
validates json_of_errors 3 '"severity":"error"' '"exit_code":3' '"unusable":{"records":2,"first":[{"record":0,"text":"broken/cat/1.ppm:' -- broken --json

finish
