#!/bin/bash
# Programs built against an installed libtrainer.so, with CMake and with pkg-config: examples/ and docs/embedding.md build
# without warnings, and compute what the program computes.
#
#   tests/system/library.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

export OMP_NUM_THREADS=1
examples=$source_folder/examples prefix="$work/the prefix"
warnings=(-Wall -Wextra -pedantic -Werror)
cmake --install "$(dirname "$trainer")" --prefix "$prefix" >log 2>&1
check installs "$(tail -n 5 log)" [ -e "$prefix/lib/libtrainer.so" -a -e "$prefix/include/trainer/trainer.h" ]
trainer=$prefix/bin/trainer
last_lines() { tail -n 5 log; }

mkdir -p with_pkg_config documented
cmake -S "$examples" -B with_cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_FLAGS="${warnings[*]}" -DCMAKE_C_FLAGS="${warnings[*]}" >log 2>&1 &&
  cmake --build with_cmake >>log 2>&1
check builds_with_cmake "$(last_lines)" [ -x with_cmake/classify -a -x with_cmake/train ]
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
check version "$(pkg-config --modversion trainer)" [ "trainer $(pkg-config --modversion trainer)" = "$("$trainer" --version | head -n 1)" ]
# build NAME COMPILER SOURCE PROGRAM. The installed folder has a blank in its name, which pkg-config escapes.
build() {
  eval "$2 ${warnings[*]} \"\$3\" -o \"\$4\" $(pkg-config --cflags --libs trainer)" >log 2>&1
  local code=$?
  check "$1" "$(cat log)" [ $code = 0 ]
}
build builds_cxx_with_pkg_config "c++ -std=c++20" "$examples/classify.cc" with_pkg_config/classify
build builds_c99_with_pkg_config "cc -std=c99" "$examples/train.c" with_pkg_config/train
for language in cpp:cc c:c; do
  sed -n "/^\`\`\`${language%:*}\$/,/^\`\`\`\$/p" "$source_folder/docs/embedding.md" | grep -v '^```' >"documented/example.${language#*:}"
done
build documented_cxx_builds "c++ -std=c++20" documented/example.cc documented/cxx
build documented_c_builds "cc -std=c99" documented/example.c documented/c

# Eight pictures of two classes, a net of one hidden layer, a deployed form of it.
mkdir pictures
for i in 0 1 2 3 4 5 6 7; do
  printf 'P3 4 4 255 %s' "$(for p in $(seq 48); do echo $(((i % 2) * 120 + (p * (i + 3)) % 60)); done | xargs)" >pictures/$i.ppm
  echo "$i.ppm $((i % 2))"
done >list.txt
"$trainer" convert imageset pictures/ list.txt data >log 2>&1
check converts "$(last_lines)" [ -d data ]
hidden() {
  echo 'layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
    layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }'
}
{
  echo 'name: "small"
    layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 } data_param { source: "data" batch_size: 4 backend: LMDB } }'
  hidden
  echo 'layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" include { phase: TEST } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" include { phase: TRAIN } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" include { phase: TEST } }'
} >net.prototxt
{
  echo 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }'
  hidden
  echo 'layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }'
} >deploy.prototxt
solver() {
  echo "net: 'net.prototxt' base_lr: 0.1 lr_policy: 'step' gamma: 0.5 stepsize: 4 momentum: 0.9 random_seed: 7 max_iter: $2
    display: 1 test_iter: 2 test_interval: 5 snapshot: 5 snapshot_prefix: '$1'"
}
solver program 10 >program.prototxt
solver library 10 >library.prototxt

"$trainer" train --solver=program.prototxt --run_dir= >program.log 2>&1
check program_trains "$(tail -n 5 program.log)" grep -q 'Optimization Done' program.log
for way in with_cmake with_pkg_config; do
  $way/train library.prototxt >library.log 2>log
  check "${way}_trains" "$(last_lines)" grep -qx done library.log
  check "${way}_losses" "other losses" diff \
    <(sed -n 's/.*Iteration \([0-9]*\) (.*loss = \(.*\)/\1 \2/p' program.log | while read -r i loss; do echo "$((i + 1)) $loss"; done) \
    <(sed -n 's/^iteration \([0-9]*\): loss \([^,]*\),.*/\1 \2/p' library.log)
  check "${way}_rates" "other learning rates" diff \
    <(sed -n 's/.*Iteration [0-9]*, lr = //p' program.log) <(sed -n 's/.*learning rate //p' library.log)
  check "${way}_tests" "other results" diff \
    <(sed -n 's/.*Test net output #[0-9]*: \(\S* = \S*\).*/\1/p' program.log) <(sed -n 's/.*: test 0: //p' library.log)
  check "${way}_snapshots" "$(ls)" cmp program_iter_10.caffemodel library_iter_10.caffemodel
  check "${way}_tells_snapshots" "$(cat library.log)" \
    [ "$(grep -c ': wrote library_iter_[0-9]*.caffemodel and library_iter_[0-9]*.solverstate$' library.log)" = 2 ]
  check "${way}_writes_nothing_else" "$(cat log)" [ ! -s log ]
  rm library_iter_*
done

# A stop, and an exit code with the program's own text.
with_cmake/train library.prototxt 3 >library.log 2>log
check stops "$(cat library.log log)" [ "$(tail -n 1 library.log)" = stopped -a -e library_iter_3.solverstate ]
echo "net: 'net.prototxt' base_lr: 0.1 lr_polici: 'fixed'" >wrong.prototxt
with_cmake/train wrong.prototxt >library.log 2>log
code=$?
"$trainer" train --solver=wrong.prototxt >program.log 2>&1
check error_has_the_exit_code "$code" [ "$code" = 2 ]
check error_is_the_programs "$(diff log program.log)" cmp log program.log

# The batches of the data layer, as an array, make the probabilities that the program computes.
"$trainer" extract_features program_iter_10.caffemodel net.prototxt data,prob data.npy,prob.npy 2 npy >log 2>&1
check extracts "$(last_lines)" [ -s data.npy -a -s prob.npy ]
od -An -v -t f4 -w8 -j "$(($(stat -c %s prob.npy) - 64))" prob.npy |
  awk '{ a = sprintf("0 (%.6g)", $1); b = sprintf("1 (%.6g)", $2); print "item " NR - 1 ": " ($1 + 0 >= $2 + 0 ? a " " b : b " " a) }' >wanted
for way in with_cmake with_pkg_config; do
  $way/classify deploy.prototxt program_iter_10.caffemodel data.npy >classes 2>log
  check "${way}_classifies" "$(cat log; diff classes wanted)" cmp classes wanted
done
with_cmake/classify deploy.prototxt nowhere.caffemodel data.npy >classes 2>log
code=$?
check missing_weights_have_the_exit_code "$code" [ "$code" = 3 ]
check missing_weights_are_named "$(cat log)" grep -q 'nowhere.caffemodel' log
finish
