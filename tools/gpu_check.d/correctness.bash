# Sourced by tools/gpu_check: the parts that compare results.

gpu_works=1  # 0 if a small net does not train on the GPU

# A small net with the common layers; it takes almost no time.
write_net() {
  cat >net.prototxt <<'NET'
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label" top: "target"
  dummy_data_param { shape { dim: 16 dim: 3 dim: 20 dim: 20 } shape { dim: 16 } shape { dim: 16 dim: 5 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 16 kernel_size: 5 pad: 2 weight_filler { type: "xavier" } } }
layer { name: "norm1" type: "BatchNorm" bottom: "conv1" top: "norm1" }
layer { name: "scale1" type: "Scale" bottom: "norm1" top: "scale1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "scale1" top: "scale1" }
layer { name: "pool1" type: "Pooling" bottom: "scale1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm2" type: "LRN" bottom: "pool1" top: "norm2" }
layer { name: "depthwise" type: "Convolution" bottom: "norm2" top: "depthwise"
  convolution_param { num_output: 16 group: 16 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "conv2" type: "Convolution" bottom: "norm2" top: "conv2"
  convolution_param { num_output: 16 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "depthwise" bottom: "conv2" top: "sum" }
layer { name: "both" type: "Concat" bottom: "sum" bottom: "norm2" top: "both" }
layer { name: "pool2" type: "Pooling" bottom: "both" top: "pool2" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" inner_product_param { num_output: 32 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "class" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "class" }
layer { name: "distance" type: "EuclideanLoss" bottom: "ip2" bottom: "target" top: "distance" }
NET
  cat >solver.prototxt <<'SOLVER'
net: "net.prototxt" base_lr: 0.001 lr_policy: "step" stepsize: 8 gamma: 0.5 momentum: 0.9 weight_decay: 0.001
display: 1 max_iter: 20 random_seed: 3
SOLVER
}
train=("$trainer" train --solver=solver.prototxt --run_dir=)
losses() { sed -n 's/.*Iteration \([0-9]*\) .*loss = \([0-9.e+-]*\).*/\1 \2/p' output; }

check_net() {
  attempt 60 "$trainer" device_query
  if [[ -n ${TRAINER_CUDA_LIBRARIES:-} && -e $TRAINER_CUDA_LIBRARIES/libemulated_cudart.so ]]; then
    verdict device_query "an emulated GPU" true
  else
    verdict device_query "$(sed -n 's/^Name: *\|^\(No NVIDIA GPU\)/\1/p' output | paste -sd,)" grep -q '^Name:' output
  fi
  attempt 60 "${train[@]}" --cpu --set snapshot_after_train=false
  ((code == 0)) || { unfinished trains_on_the_cpu; return; }
  losses >cpu
  attempt 60 "${train[@]}" --gpu=0 --set snapshot_after_train=false
  ((code == 0)) || gpu_works=0
  losses >gpu
  verdict trains_as_the_cpu "the last losses: $(tail -n 1 cpu | cut -d' ' -f2) on the CPU, $(tail -n 1 gpu | cut -d' ' -f2) on the GPU" awk '
    NR == FNR { cpu[$1] = $2; next }
    { d = $2 - cpu[$1]; if (d < 0) d = -d; if (!($1 in cpu) || !(d <= 0.01 * cpu[$1] + 1e-4)) wrong = 1 }
    END { exit wrong || NR == FNR || FNR < 20 }' cpu gpu
}

# run_tests CHECK LIMIT FILTER
run_tests() {
  attempt "$2" env "TRAINER_SOURCE_DIR=$bundle" TRAINER_TEST_DEVICE=cuda:0 "$bundle/bin/trainer_tests" "--gtest_filter=$3"
  local count wrong passed_over
  count=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests\{0,1\}\.$/\1/p' output)
  passed_over=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) tests\{0,1\}, listed below:$/\1/p' output)
  wrong=$(sed -n 's/^\[  FAILED  \] \([^, ]*\.[^, ]*\).*/\1/p' output | sort -u)
  if [[ -n $wrong ]]; then
    row FAILED "$1" "${count:-0} passed, $(wc -l <<<"$wrong") failed: $(head -n 8 <<<"$wrong" | paste -sd' ')"
  elif ((code == 124 || code == 137)); then
    unfinished "$1" "; $(grep -c '^\[       OK \]' output) tests had passed"
  elif ((code == 0 && ${count:-0} == 0 && ${passed_over:-0} > 0)); then
    row skipped "$1" "$(grep -A 1 -m 1 'Skipped$' output | tail -n 1)"
  else
    verdict "$1" "${count:-0} passed, ${passed_over:-0} skipped" [ "${count:-0}" -gt 0 ]
  fi
}

check_tests() {
  start_warming
  if ((quick)); then
    run_tests kernels 60 'Gpu.Copies:Gpu.SaysWhatMemoryIsLeft'
    run_tests contract 60 '*Contract*/InnerProduct*:*Contract*/Softmax_*'
  else
    # Whole nets first: with an empty cache, autotuning of the kernels may use up the remaining time.
    run_tests conformance 120 '*Conformance*'
    run_tests contract 120 '*Contract*'
    run_tests several_gpus 60 '*SeveralDevices.*'
    run_tests far_offsets 60 Gpu.FarOffsets
    run_tests kernels 180 'Gpu.*-Gpu.FarOffsets'
  fi
  stop_warming
}

check_resume() {
  local flags=(--gpu=0)
  "$trainer" help train | grep -- --deterministic >/dev/null && flags+=(--deterministic)
  attempt 60 "${train[@]}" "${flags[@]}" --set snapshot_prefix=whole
  ((code == 0)) || { unfinished 20_iterations; return; }
  attempt 60 "${train[@]}" "${flags[@]}" --set snapshot_prefix=half --set max_iter=10
  ((code == 0)) || { unfinished 10_iterations; return; }
  attempt 60 "${train[@]}" "${flags[@]}" --set snapshot_prefix=half --snapshot=half_iter_10.solverstate
  verdict exact_resume "weights after 20 and after 10 + 10 iterations, bit for bit" cmp -s whole_iter_20.caffemodel half_iter_20.caffemodel
}

# Makes the databases of the solver, and sets `code`; returns false without source data.
get_fashion_mnist() {
  local data=data/fashion-mnist folder set
  mkdir -p "$data"
  for folder in "$bundle/$data" "$called_from/$data"; do
    [[ -f $folder/train_lmdb/data.mdb && -f $folder/test_lmdb/data.mdb ]] || continue
    ln -s "$folder/train_lmdb" "$folder/test_lmdb" "$data/"
    code=0
    return 0
  done
  for folder in "$bundle/$data" "$called_from/$data" "${FASHION_MNIST:-}"; do
    compgen -G "$folder/train-images-idx3-ubyte*" >/dev/null || continue
    for set in train:train test:t10k; do
      attempt 60 "$trainer" convert idx "$(compgen -G "$folder/${set#*:}-images-idx3-ubyte*" | head -n 1)" \
        "$(compgen -G "$folder/${set#*:}-labels-idx1-ubyte*" | head -n 1)" "$data/${set%:*}_lmdb"
      ((code == 0)) || return 0
    done
    return 0
  done
  return 1
}

check_lenet() {
  local cpu_accuracy=0.9152 accuracy trained
  get_fashion_mnist || { row skipped accuracy "no Fashion-MNIST: FASHION_MNIST names a folder that has it"; return; }
  ((code == 0)) || { unfinished conversion; return; }
  attempt 80 "$trainer" train --solver=models/lenet/lenet_fashion_solver.prototxt --gpu=0 --run_dir= --set snapshot_prefix=lenet
  ((code == 0)) || { unfinished training; return; }
  trained="6000 iterations in $took s"
  attempt 60 "$trainer" test --model=models/lenet/lenet_train_test.prototxt --stage=fashion --weights=lenet_iter_6000.caffemodel \
    --iterations=100 --gpu=0
  accuracy=$(sed -n 's/^\(.*\] \)\{0,1\}accuracy = \([0-9.e-]*\)$/\2/p' output | tail -n 1)
  verdict accuracy "${accuracy:-none}, on the CPU $cpu_accuracy; $trained" awk -v a="${accuracy:-0}" -v b=$cpu_accuracy \
    'BEGIN { exit !(a > b - 0.006 && a < b + 0.006) }'
}

check_sanitizer() {
  command -v compute-sanitizer >/dev/null || { row skipped compute_sanitizer "not installed"; return; }
  local tool what kernels='Gpu.*-Gpu.SaysWhatMemoryIsLeft:Gpu.FarOffsets:Gpu.AHandledFailureLeavesNoError'
  ((!quick)) || kernels=Gpu.Copies
  for what in training kernels; do
    for tool in memcheck racecheck initcheck; do
      local run=("${train[@]}" --gpu=0 --set max_iter=3 --set snapshot_after_train=false)
      [[ $what = training ]] || run=(env "TRAINER_SOURCE_DIR=$bundle" TRAINER_TEST_DEVICE=cuda:0 "$bundle/bin/trainer_tests"
        "--gtest_filter=$kernels")
      has_time 10 "${tool}_$what" || continue
      # The program handles failed calls itself: tests ask for GPUs that do not exist.
      attempt 90 compute-sanitizer --tool $tool --report-api-errors no --target-processes all --error-exitcode 99 --print-limit 20 "${run[@]}"
      verdict "${tool}_$what" "$(grep -E 'SUMMARY' output | tail -n 1 | sed 's/=* *//')" \
        grep -qE 'ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards' output
    done
  done
}
