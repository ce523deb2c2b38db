# Sourced by the scripts that train in several processes, after checks.bash: waiting for the processes, and data, net and
# solver of a small training in the working folder. Ends the script if this build has no Gloo.

unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT TRAINER_TOKEN TRAINER_TOKEN_FILE
[ -e "$(dirname "$trainer")/libtrainer_gloo.so" ] || { echo "SKIPPED: this build has no Gloo"; finish; exit; }
export OMP_NUM_THREADS=1 TRAINER_MEETING_SECONDS=30

# Waits for the processes of `pids`; sets codes to their exit codes.
await() {
  codes=
  local pid
  for pid in "${pids[@]}"; do
    wait "$pid" 2>/dev/null
    codes+="$? "
  done
  codes=${codes% }
}
has_line() { grep -q "$2" "$1" 2>/dev/null; }
last_lines() { tail -n 3 out.* | cut -c 1-300; }

# 200 images of 8 x 8 in 5 classes, 53 of them for tests.
images() {
  printf "\\0\\0\\010\\003\\0\\0\\0\\$(printf %o "$1")\\0\\0\\0\\010\\0\\0\\0\\010"
  head -c $(($1 * 64)) < <(yes "$2" | tr -d '\n')
}
labels() {
  printf "\\0\\0\\010\\001\\0\\0\\0\\$(printf %o "$1")"
  local i
  for ((i = 0; i < $1; i++)); do printf "\\$((i % 5))"; done
}
images 200 '0xq~ A7mZ' >train-images && labels 200 >train-labels
images 53 'Q ~z0 b9q' >test-images && labels 53 >test-labels
for set in train test; do "$trainer" convert idx $set-images $set-labels $set >log 2>&1 || { cat log; exit 1; }; done
cat >net.prototxt <<'NET'
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { scale: 0.004 }
  data_param { source: "train" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { scale: 0.004 }
  data_param { source: "test" backend: LMDB batch_size: 7 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
NET
write_solver solver.prototxt "base_lr: 0.01 max_iter: 24 test_epochs: 1 test_interval: 12 display: 6 snapshot: 12 snapshot_prefix: 'w' type: 'Adam'"
sed -i 's/base_lr: 0.001 //' solver.prototxt

# The difference of two weight files is rounding.
close() {
  "$trainer" weights compare "$1" "$2" 2>/dev/null |
    awk 'NF == 2 && $2 ~ /^[0-9]/ { compared = 1; if ($2 + 0 > 1e-5) bad = 1 } END { exit bad || !compared }'
}
