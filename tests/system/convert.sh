#!/bin/bash
# Tests `trainer convert folder` and `trainer convert list` that are killed, stopped or find the disk full, and continue.
#
#   tests/system/convert.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

images=6000
mkdir -p photos/a photos/b
for ((i = 0; i < 40; i++)); do
  printf -v letter '%b' "\\x$(printf %02x $((65 + i)))"
  { printf 'P6 8 8 255\n'; printf "$letter%.0s" {1..150}; printf 'z%.0s' {1..42}; } >photos/$([ $((i % 3)) = 0 ] && echo a || echo b)/$i.ppm
done
(cd photos && files=(*/*) && for ((i = 0; i < images; i++)); do echo "${files[i * 7 % 40]} $((i % 5))"; done) >list.txt

convert() { "$trainer" convert list list.txt "$1" --root_folder=photos/ --resize_height=64 --resize_width=64 --shuffle "${@:2}" >out 2>log; }
saved() { # TARGET IMAGES: whether the state has this many
  local done=0
  [ -r "$1.part/state" ] || return 1
  read -r done _ < <(sed -n 2p "$1.part/state" 2>/dev/null)
  [ "${done:-0}" -ge "$2" ]
}
# Whether two targets hold the same.
same() {
  case $1 in
    *.h5) cmp "$1" "$2" ;;
    *) for database in "$1" "$2"; do
         rm -f "$database.binaryproto"
         "$trainer" compute_mean "$database" "$database.binaryproto" >log 2>&1 && sheet "$database" || return 1
       done
       cmp "$1.binaryproto" "$2.binaryproto" && cmp "$1.png" "$2.png" ;;
  esac
}
sheet() {
  echo "layer { name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '$1' backend: LMDB batch_size: 1 } }" >sheet.prototxt
  "$trainer" preview --model=sheet.prototxt --output="$1.png" --overwrite --count=300 --draws=1 >log 2>&1
}

whole() { convert whole_lmdb --workers=1 && convert whole.h5 --workers=1 && grep -q '^6,000 records written to whole.h5$' out; }
check whole "$(tail -n 3 log 2>&1)" whole
workers() { convert three_lmdb --workers=3 && convert three.h5 --workers=3 && same whole_lmdb three_lmdb && same whole.h5 three.h5; }
check three_workers_make_the_same "$(tail -n 3 log)" workers

# killed TARGET SIGNAL CODE: killed at three instants, the conversion continues to the same result.
killed() {
  local target=$1 at code
  for at in 0 1000 4000; do
    "$trainer" convert list list.txt "$target" --root_folder=photos/ --resize_height=64 --resize_width=64 --shuffle --resume >out 2>log &
    local pid=$!
    until saved "$target" $at || ! kill -0 $pid 2>/dev/null; do :; done
    kill -"$2" $pid 2>/dev/null
    wait $pid 2>/dev/null
    code=$?
    # The conversion may have been faster than the signal.
    if [ $code = 0 ]; then rm -rf "$target" "$target.txt"; elif [ $code != "$3" ] || [ -e "$target" ]; then return 1; fi
  done
  [ ! -d "$target.part" ] || { convert "$target" && return 1; }
  rm -rf "$target" "$target.txt"
  convert "$target" --resume && [ ! -e "$target.part" ]
}
killed_and_same() { killed "$@" && same "whole${1#killed}" "$1"; }
check killed_database_continues "$(cat log)" killed_and_same killed_lmdb KILL 137
check killed_hdf5_continues "$(cat log)" killed_and_same killed.h5 KILL 137
rm -rf killed*
check stopped_database_continues "$(cat log)" killed_and_same killed_lmdb TERM 143
check stopped_hdf5_continues "$(cat log)" killed_and_same killed.h5 TERM 143

# full TARGET: a conversion on a small disk continues on a larger one.
full() {
  mkdir -p disk
  export -f convert
  export trainer
  unshare -rm bash -c 'mount -t tmpfs -o size=50m none disk
    convert disk/$0; [ $? = 3 ] && grep -q -- "--resume continues" log && [ ! -e disk/$0 ] &&
    mount -o remount,size=200m disk && convert disk/$0 --resume && cp -r disk/$0 .' "$1" && same "whole${1#full}" "$1"
}
# full_at_once TARGET: a disk that is full before the first images are saved keeps nothing, and the error says why.
full_at_once() {
  mkdir -p disk
  export -f convert
  export trainer
  unshare -rm bash -c 'mount -t tmpfs -o size=1m none disk
    for kilobytes in 0 4 8 12 16 40 200; do
      rm -rf disk/*
      head -c $((1024 * (1024 - kilobytes))) /dev/zero >disk/other 2>/dev/null
      convert disk/$0
      code=$?
      [ $code = 3 ] && grep -q "cannot \(write\|make\|create\).*disk/" log && [ "$(ls disk)" = other ] || { ls -lA disk >>log; echo "$kilobytes kB: code $code" >>log; exit 1; }
    done
    rm -rf disk/* && mount -o remount,size=200m disk && convert disk/$0 --resume && cp -r disk/$0 .' "$1" &&
    same "whole${1#full}" "$1"
}
if unshare -rm bash -c 'mkdir -p disk && mount -t tmpfs none disk' 2>/dev/null; then
  check full_disk_database_continues "$(cat log)" full full_lmdb
  check full_disk_hdf5_continues "$(cat log)" full full.h5
  rm -rf full_lmdb full.h5
  check disk_full_at_once_database "$(cat log)" full_at_once full_lmdb
  check disk_full_at_once_hdf5 "$(cat log)" full_at_once full.h5
else
  echo "skipped full_disk: no file system can be mounted here"
fi

rm -rf ./*_lmdb ./*.h5 ./*.txt.part
folder() {
  "$trainer" convert folder photos train.h5 --validation_fraction=0.3 --split=train --shards=2 >out 2>log &&
    "$trainer" convert folder photos test_lmdb --validation_fraction=0.3 --split=validation >out 2>log &&
    [ "$(wc -l <train.h5.txt)" = 2 ] && grep -q 'train-00001-of-00002.h5$' train.h5.txt && [ "$(cat test_lmdb/labels.txt)" = $'a\nb' ]
}
check folder "$(cat log)" folder
cat >net.prototxt <<'NET'
layer { name: "data" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
  hdf5_data_param { source: "train.h5.txt" batch_size: 4 shuffle: true } }
layer { name: "test" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "test_lmdb" backend: LMDB batch_size: 4 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
echo "net: 'net.prototxt' base_lr: 1e-5 lr_policy: 'fixed' max_iter: 8 test_iter: 2 test_interval: 4 snapshot_prefix: 'o' solver_mode: CPU" >solver.prototxt
trains() { "$trainer" train --solver=solver.prototxt --run_dir=run >log 2>&1 && [ "$(cat run/labels.txt)" = $'a\nb' ]; }
check nets_read_both "$(cat log)" trains
finish
