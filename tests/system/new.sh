#!/bin/bash
# Tests `trainer new`: its files train, test and predict from other folders, for pictures, lists, tables and masks.
#
#   tests/system/new.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

# A picture of one grey with a redder last column: FILE GREY SIZE.
picture() {
  local row="" x
  for ((x = 1; x < $3; x++)); do row+="$2 $2 $2 "; done
  row+="$(($2 + 9)) $2 $2 "
  { echo "P3 $3 $3 255"; for ((x = 0; x < $3; x++)); do echo "$row"; done; } >"$1"
}
mkdir -p pictures/dark "pictures/very bright" elsewhere
: >log
for ((i = 0; i < 30; i++)); do
  picture "pictures/dark/$i.ppm" $((10 + i)) 24
  picture "pictures/very bright/$i.ppm" $((200 + i)) 24
done

# new NAME ARGUMENTS...: a project in the folder NAME.
new() { "$trainer" new "$@" >out 2>err; }
# runs PROJECT [EPOCHS]: validates, trains and tests in another folder; the best weights are kept.
runs() {
  local project=$PWD/$1 epochs=${2:-2}
  (
    cd elsewhere && "$trainer" validate --solver="$project/solver.prototxt" &&
      "$trainer" train --solver="$project/solver.prototxt" --set random_seed=1 --set max_epochs=$epochs --set warmup_epochs=0 &&
      "$trainer" test --model="$project/net.prototxt" --weights="$project/net_best.caffemodel" --iterations=1
  ) >log 2>&1 && [ -s "$project/net_best.caffemodel" ]
}
predict() { # PROJECT ARGUMENTS...
  local project=$PWD/$1
  shift
  (cd elsewhere && "$trainer" predict --model="$project/net.prototxt" --weights="$project/net_best.caffemodel" "$@") >out 2>log
}

check pictures "" new pictures_project --data=pictures --epochs=3
check writes_four_files "$(ls pictures_project)" eval '[ "$(ls pictures_project | tr "\n" " ")" = "README.md labels.txt net.prototxt solver.prototxt " ]'
check says_what_it_found "$(cat out)" grep -qE "^pictures: 60 pictures \([0-9]+ for training, [0-9]+ for tests\), 2 classes; classification with LeNet, 28 x 28 pixels$" out
check labels "" eval 'printf "dark\nvery bright\n" | cmp - pictures_project/labels.txt'
check small_pictures_get_lenet "" grep -q '^name: "LeNet"' pictures_project/net.prototxt
check pictures_run "$(tail log)" runs pictures_project 10
check pictures_predict "$(cat log)" eval 'predict pictures_project "$PWD/pictures" && [ "$(wc -l <out)" = 60 ] && [ "$(grep -cE "/dark/.*: dark |/very bright/.*: very bright " out)" -ge 55 ]'
check readme_has_the_commands "" eval 'grep -cE "^    trainer (validate|preview|train|test|predict) " pictures_project/README.md | grep -qx 5'
commands() { # as the README has them
  sed -n 's/^    trainer/"$trainer"/p' pictures_project/README.md | grep -E 'validate|preview|predict' | sed "s|PICTURES|'$PWD/pictures'|" >commands.sh
  (cd elsewhere && source ../commands.sh) >log 2>&1 && [ -s elsewhere/sheet.png ]
}
check readme_commands_run "$(tail log)" commands
before=$(cksum pictures_project/*.prototxt)
check keeps_existing_files "$(cat err)" eval '! new pictures_project --data=pictures && grep -q "net.prototxt" err && [ "$before" = "$(cksum pictures_project/*.prototxt)" ]'

# Another net, with the weights of the first training; the last layer starts from scratch.
check net_and_size "$(cat err)" eval 'new squeeze --data=pictures --net=squeezenet --size=32 --epochs=1 && grep -q "size: 32" squeeze/net.prototxt && runs squeeze'
check weights "$(cat err)" eval 'new tuned --data=pictures --net=squeezenet --weights=squeeze/net_best.caffemodel --size=32 && grep -q "name: \"results_tuned\"" tuned/net.prototxt && runs tuned'
check only_the_last_layer_is_fresh "$(cat log)" eval 'grep -qE "results_tuned.*(fresh|starts from its filler)" log'
mkdir three && cp -r pictures/* three && cp -r pictures/dark three/grey
check weights_of_other_classes "$(cat err)" eval 'new three_tuned --data=three --net=squeezenet --weights=squeeze/net_best.caffemodel --size=32 && grep -q "num_output: 3 " three_tuned/net.prototxt && runs three_tuned'
# Published weights choose net, preparation and licence; they are downloaded when the training starts.
check published_weights "$(cat err)" eval 'new published --data=pictures --weights=resnet50.IMAGENET1K_V2 && grep -q "^# ResNet-50" published/net.prototxt && grep -q "short_side: 232" published/net.prototxt && grep -q "^weights: \"resnet50.IMAGENET1K_V2\"$" published/solver.prototxt && grep -q "code BSD-3-Clause" published/README.md'
# Pictures as timm prepares them for the published weights, in color even if they are gray.
check weights_have_their_preparation "$(cat err)" eval 'new vit --data=pictures --weights=vit_small_patch16_224.augreg_in1k && grep -q "short_side: 248 filter: BICUBIC" vit/net.prototxt && grep -q "center_crop { size: 224 }" vit/net.prototxt && grep -q "mean: 0.5 mean: 0.5 mean: 0.5 std: 0.5" vit/net.prototxt && grep -q "channel_order: RGB" vit/net.prototxt'
entry() { echo "weights { name: '$1' net: '$2' url: 'https://example.org/$1.pth' preprocessing { $3 } }"; }
{ entry one resnet18 'mean: 0.25 std: 0.125 crop_size: 64 short_side: 80'; entry tiny tinynet 'mean: 0.5'; } >published.prototxt
export TRAINER_WEIGHTS=$PWD/published.prototxt
check one_mean_is_that_of_each_channel "$(cat err)" eval 'new one --data=pictures --weights=one && grep -q "mean: 0.25 mean: 0.25 mean: 0.25 std: 0.125 std: 0.125 std: 0.125" one/net.prototxt'
check published_weights_have_their_size "" grep -q "random_resized_crop { size: 64 " one/net.prototxt
check size_wins "$(cat err)" eval 'new one_smaller --data=pictures --weights=one --size=96 && grep -q "size: 96 " one_smaller/net.prototxt && grep -q "short_side: 120" one_smaller/net.prototxt'

check printed_paths_are_quoted "$(cat err)" eval 'new "a project" --data=pictures && grep -qF "trainer train --solver='"'a project/solver.prototxt'"'" out'

# The parts train and test as folders.
mkdir parts && cp -r pictures parts/train && cp -r pictures parts/val
check parts "$(cat err)" eval 'new parts_project --data=parts && ! grep -q validation_fraction parts_project/net.prototxt && grep -q "source: \"$PWD/parts/val\"" parts_project/net.prototxt'

mkdir upper && cp -r pictures upper/Train && cp -r pictures upper/TEST
check parts_in_capitals "$(cat err)" eval 'new upper_project --data=upper && grep -q "source: \"$PWD/upper/Train\"" upper_project/net.prototxt && grep -q "source: \"$PWD/upper/TEST\"" upper_project/net.prototxt'

# A list of values, with paths relative to the list.
(cd pictures && for ((i = 0; i < 30; i++)); do echo "dark/$i.ppm 0.$i -1.5"; done >values.txt)
check values "$(cat err)" eval 'new values --data=pictures/values.txt && grep -q EuclideanLoss values/net.prototxt && [ "$(cat values/train.txt values/test.txt | wc -l)" = 30 ] && runs values'
check values_predict "$(cat log)" eval 'predict values "$PWD/pictures/dark" && grep -qE "0.ppm: -?[0-9.e-]+ -?[0-9.e-]+$" out'

# A table.
{ echo "a,kind,b"; for ((i = 0; i < 60; i++)); do echo "$((i * 37 % 11)),$((i % 3)),$((i % 3)).5"; done; } | sed 's/kind/class/' >rows.csv
check table "$(cat err)" eval 'new table --data=rows.csv --epochs=2 && runs table'
check table_predict "$(cat log)" eval 'predict table "$PWD/table/test.h5" && [ "$(wc -l <out)" = 12 ] && grep -qE "^0: [012] 0\.[0-9]+, " out'
check table_of_values "$(cat err)" eval 'new table_values --data=rows.csv --task=regress && grep -q EuclideanLoss table_values/net.prototxt && runs table_values'
# Columns of the test table in another order, matched by name.
mkdir ordered
{ echo "a,b,label"; for ((i = 0; i < 8; i++)); do echo "$i,1$i,$((i % 2))"; done; } >ordered/train.csv
{ echo "label,b,a"; for ((i = 0; i < 8; i++)); do echo "$((i % 2)),1$i,$i"; done; } >ordered/test.csv
check columns_by_name "$(cat err)" eval 'new ordered_project --data=ordered && cmp ordered_project/train.h5 ordered_project/test.h5'
# Values far from 0: 100 a + 5000.5, of a from -3 to 3. The errors are below a fifth of the deviation, 173.
{ echo "a,value"; for ((i = 0; i < 240; i++)); do awk "BEGIN { a = ($i * 37 % 240) / 40 - 3; print a \",\" 100 * a + 5000.5 }"; done; } >far.csv
seq -3 0.5 3 >grid.csv
"$trainer" convert hdf5 data=grid.csv grid.h5 --row_shape data=1 >log 2>&1
check far_values "$(cat err)" eval 'new far --data=far.csv && runs far 20'
check far_values_are_learned "$(cat out)" eval 'predict far "$PWD/grid.h5" && paste grid.csv out | awk "{ e = \$3 - 5000.5 - 100 * \$1; if (e < 0) e = -e; if (e > 35) bad = 1 } END { exit bad || NR != 13 }"'
# Two values, each with its scale.
for ((i = 0; i < 30; i++)); do echo "$((i)).ppm $((9000 + i)) 0.0$i"; done >pictures/dark/two.txt
check two_values "$(cat err)" eval 'new two --data=pictures/dark/two.txt && grep -q "top: \"scaled.1\"" two/net.prototxt && runs two'
check two_values_predict "$(cat out)" eval 'predict two "$PWD/pictures/dark" && grep -qE "0.ppm: 90[0-9.]+ 0?[0-9.e-]+$" out'
# Sequences of 3 rows of 4 values.
for ((i = 0; i < 20; i++)); do seq -s, $((i % 2)) $((i % 2 + 11)); done >x.csv
for ((i = 0; i < 20; i++)); do echo $((i % 2)); done >y.csv
"$trainer" convert hdf5 data=x.csv label=y.csv sequences.h5 --row_shape data=3,4 >log 2>&1
check sequences "$(cat err)" eval 'new sequences --data=sequences.h5 && grep -q "type: \"LSTM\"" sequences/net.prototxt && runs sequences'

# Masks: class 2 where red is the largest value, else class 0.
mkdir -p masked/images masked/masks
cat >classes.prototxt <<'NET'
layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { source: "pictures" batch_size: 4 } }
layer { name: "prob" type: "Softmax" bottom: "data" top: "prob" }
layer { name: "none" type: "Silence" bottom: "label" }
NET
"$trainer" predict --model=classes.prototxt --weights=none pictures/dark --output=made >log 2>&1
for ((i = 0; i < 10; i++)); do
  cp "pictures/dark/$i.ppm" "masked/images/$i.ppm"
  cp "made/pictures/dark/$i.png" "masked/masks/$i.png"
done
check masks "$(cat err)" eval 'new masks --data=masked --size=16 --epochs=1 && grep -q "name: \"U-Net\"" masks/net.prototxt && runs masks'
check masks_predict "$(cat log)" eval 'predict masks "$PWD/masked/images" --output=masks_of && [ "$(find elsewhere/masks_of -name "*.png" | wc -l)" = 10 ]'

code() { # CODE TEXT ARGUMENTS...
  local expected=$1 text=$2
  shift 2
  new "$@"
  [ $? = "$expected" ] && grep -qF -e "$text" err
}
mkdir empty
check no_data "$(cat err)" code 3 "there are no data" nothing --data=nowhere
check empty_folder "$(cat err)" code 3 "has no folders" nothing --data=empty
mkdir other
printf 'a,b,label\n1,2,0\n2,3,1\n' >other/train.csv
printf '1,2,0\n2,3,1\n' >other/test.csv
check header_of_one_table "$(cat err)" code 3 "test.csv has no header line" nothing --data=other
printf 'a,c,label\n1,2,0\n2,3,1\n' >other/test.csv
check other_columns "$(cat err)" code 3 "test.csv are a, c, label, but those of $PWD/other/train.csv are a, b, label" nothing --data=other
printf 'a,b,label\n1,2,0\n2,3,7\n' >other/test.csv
check other_classes "$(cat err)" code 3 "test.csv, line 3: the label 7 is not a class of" nothing --data=other
check project_in_the_data "$(cat err)" code 2 "is in the folder of the data" pictures/project --data=pictures
check project_is_the_data "$(cat err)" code 2 "is in the folder of the data" pictures --data=pictures/
check no_folder_in_the_data "" [ ! -e pictures/project ]
mkdir damaged
for ((i = 0; i < 4; i++)); do echo "$i.png 1" >>damaged/list.txt; head -c 99 /dev/urandom >damaged/$i.png; done
check damaged_picture "$(cat err)" code 3 "list.txt:1 (0.png): " nothing --data=damaged/list.txt
rm damaged/[1-3].png && cp made/pictures/dark/0.png damaged/0.png
check missing_picture "$(cat err)" code 3 "list.txt:2 (1.png): " nothing --data=damaged/list.txt
mkdir -p broken/a broken/b && cp pictures/dark/* broken/a && echo no picture >broken/b/x.png && cp broken/b/x.png broken/b/y.png
check damaged_picture_of_a_folder "$(cat err)" code 3 "broken/b/" nothing --data=broken
mkdir half && cp -r pictures half/train
check one_part "$(cat err)" code 3 "give --data=$PWD/half/train" nothing --data=half
check empty_name_of_a_folder "$(cat err)" code 2 "Need one folder" "" --data=pictures
limited() { (trap '' XFSZ; ulimit -f 0; exec "$trainer" new full/project --data=pictures) 2>&1 | grep -q "File too large"; }
check full_disk "" limited
check full_disk_leaves_no_folder "" [ ! -e full ]
check unknown_net "$(cat err)" code 2 "did you mean resnet18?" nothing --data=pictures --net=resnet81
check net_of_another_task "$(cat err)" code 2 "the net takes rows" nothing --data=pictures --net=mlp
check net_of_other_weights "$(cat err)" code 2 "--net=resnet34: the weights one are for the net resnet18" nothing --data=pictures --net=resnet34 --weights=one
check weights_of_no_net "$(cat err)" code 2 "the net \"tinynet\" of the manifest is not a net of" nothing --data=pictures --weights=tiny
check weights_of_another_net "$(cat err)" code 3 "no layer of resnet18 has its parameters in the file" nothing --data=pictures --net=resnet18 --weights=squeeze/net_best.caffemodel
check wrong_size "$(cat err)" code 2 "--size=8" nothing --data=pictures --size=8
check no_weights "$(cat err)" code 3 "nowhere.caffemodel" nothing --data=pictures --weights=nowhere.caffemodel
check wrong_task "$(cat err)" code 3 "--task=segment" nothing --data=pictures --task=segment
check no_flag "$(cat err)" code 2 "Need the data" nothing
check nothing_is_written "" eval '[ ! -e nothing ]'
cp pictures_project/solver.prototxt lost.prototxt
check net_beside_the_solver "$(cat err)" eval '! (cd elsewhere && "$trainer" train --solver=../lost.prototxt) >out 2>err && grep -q "in the working folder, and no file .* next to the solver" err'
finish
