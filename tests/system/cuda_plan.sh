#!/bin/bash
# Tests the CUDA device without a GPU: its error messages, and the plans of all nets of models/ for absent GPUs. In these
# plans, cuDNN runs every convolution, and launches and bytes are those recorded in cuda_plan_figures.txt.
#
#   tests/system/cuda_plan.sh TRAINER
#   tests/system/cuda_plan.sh TRAINER --record    rewrites cuda_plan_figures.txt
#
# EVERY_PLAN=1 plans every net in bf16 for every architecture. By default a net is planned for the architectures that have
# figures and for one other.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net tiny.prototxt
mkdir alone && cp "$trainer" "$(dirname "$trainer")/libtrainer.so.0" alone
output=$(alone/trainer summary --model=tiny.prototxt --gpu=sm_90 2>&1)
check no_plugin_exit_code "$output" [ $? -eq 5 ]
check no_plugin_is_told "$output" grep -q 'no CUDA device: there is no .*/alone/libtrainer_cuda.so\. ' <<<"$output"
output=$(alone/trainer time --model=tiny.prototxt --iterations=1 --cpu 2>&1)
check cpu_goes_on "$output" [ $? -eq 0 ]

plugin=$(dirname "$trainer")/libtrainer_cuda.so
if [ ! -e "$plugin" ]; then
  echo "SKIPPED the rest: this build has no CUDA device"
  finish
  exit
fi
if ! ldconfig -p | grep -q 'libcuda\.so\.1'; then
  output=$("$trainer" time --model=tiny.prototxt --iterations=1 --gpu=0 2>&1)
  check no_driver_exit_code "$output" [ $? -eq 5 ]
  check no_driver_is_told "$output" grep -q 'no NVIDIA driver.*--cpu' <<<"$output"
fi
output=$("$trainer" time --model=tiny.prototxt --iterations=1 --gpu=sm_90 2>&1)
check planned_gpu_runs_nothing "exit code $?: $output" [ $? -eq 2 ]
output=$("$trainer" summary --model=tiny.prototxt --gpu=sm_70 2>&1)
check unknown_gpu "exit code $?: $output" [ $? -eq 2 ]
check known_gpus_are_told "$output" grep -q 't4, a100, .*h200, .*sm_75, .*sm_120' <<<"$output"

# N * 4096 * 4096 multiply-adds at 66.9 and 494.7 TFLOP/s; weights, a bias and 2 * N * 4096 other floats at 300 GB/s.
costs() { # N FLAGS EXPECTED
  local output
  cat >"$work/product.prototxt" <<NET
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: $1 dim: 4096 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4096 } }
NET
  output=$("$trainer" summary --model="$work/product.prototxt" --phase=TEST --plan $2 2>&1 | tail -n 1)
  check "product of $1 rows, $2" "$output" [ "$output" = "$3" ]
}

cd "$source_folder" || exit 2
if "$trainer" summary --model=models/lenet/lenet_train_test.prototxt --stage=bench --gpu=sm_90 2>&1 | grep -q 'cannot be opened'; then
  echo "SKIPPED the rest: NVIDIA's libraries are not installed"
  finish
  exit
fi

export XDG_CACHE_HOME=$work/cache
costs 4096 --gpu=sm_90 '1 launches, 0.2013 GB read and written, 0.1374 TFLOP; at least 2.05 ms on an H100'
costs 4096 '--gpu=H200 --precision=tf32' '1 launches, 0.2013 GB read and written, 0.1374 TFLOP; at least 0.278 ms on an H200'
costs 16 --gpu=l4 '1 launches, 0.06765 GB read and written, 0.0005369 TFLOP; at least 0.225 ms on an L4'
figures=tests/system/cuda_plan_figures.txt
# check_plan NET ARCHITECTURE PRECISION EXIT_CODE OUTPUT
check_plan() {
  local name="$1 $2 $3"
  check "$name" "exit code $4: $(tail -n 3 <<<"$5")" [ "$4" -eq 0 ]
  check "$name convolutions" "$(grep -m 3 'not cudnn' <<<"$5")" [ "$(grep -c 'not cudnn' <<<"$5")" -eq 0 ]
  local cost number='[0-9.e-]+'
  cost=$(grep -E "^[0-9]+ launches, $number GB read and written, $number TFLOP; at least $number ms on an? [A-Z0-9 ]+$" <<<"$5")
  check "$name cost" "$(tail -n 2 <<<"$5")" [ -n "$cost" ]
  [[ $2 != sm_[89]0 ]] || echo "$1 $2 $3: ${cost% read and written*}" >>"$work/figures"
}

for net in models/*/*_train_*.prototxt; do
  for architecture in sm_75 sm_80 sm_90 sm_100 sm_120; do
    output=$("$trainer" summary --model="$net" --stage=bench --gpu=$architecture --plan 2>&1)
    check_plan "$net" $architecture fp32 $? "$output"
  done
done

# cuDNN plans are read from the cache, not created again, and give the same result as fresh ones.
net=models/googlenet/googlenet_train_val.prototxt
kept() { (cd "$XDG_CACHE_HOME/trainer/cuda" && grep -l -a 'cuDNN.*H100' -- * | xargs ls -i); }
kept >"$work/first"
check plans_are_kept "$(wc -l <"$work/first") in $XDG_CACHE_HOME" [ "$(wc -l <"$work/first")" -gt 50 ]
"$trainer" summary --model=$net --stage=bench --gpu=sm_90 --plan >"$work/again" 2>&1
kept >"$work/second"
check none_is_made_again "$(diff "$work/first" "$work/second" | head -n 5)" cmp "$work/first" "$work/second"
XDG_CACHE_HOME=$work/other "$trainer" summary --model=$net --stage=bench --gpu=sm_90 --plan >"$work/anew" 2>&1
check kept_plans_are_the_same "$(diff "$work/again" "$work/anew" | head -n 5)" cmp "$work/again" "$work/anew"

# cuDNN generates code for fused bf16 convolutions, up to a second each, if it finds a driver.
driver=$(dirname "$trainer")/tests/fake_driver
if [ ! -e "$driver/libcuda.so.1" ]; then
  echo "SKIPPED plans of bf16: this build has no tests"
  finish
  exit
fi
plan_file() { echo "$work/$(basename "$1").$2"; }
plan_bf16() { # NET ARCHITECTURE FLAGS...
  LD_LIBRARY_PATH=$driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$trainer" summary --model="$1" --stage=bench --gpu="$2" --precision=bf16 --plan "${@:3}"
  echo "exit code $?"
} >"$(plan_file "$1" "$2")" 2>&1
plans=() others=(sm_100 sm_120)
for net in models/*/*_train_*.prototxt; do
  plans+=("$net sm_80" "$net sm_90" "$net ${others[0]}")
  [[ -z ${EVERY_PLAN:-} ]] || plans+=("$net ${others[1]}")
  others=("${others[1]}" "${others[0]}")
done
for plan in "${plans[@]}"; do
  (($(jobs -rp | wc -l) < 2)) || wait -n
  read -r net architecture <<<"$plan"
  plan_bf16 "$net" "$architecture" &
done
wait
for plan in "${plans[@]}"; do
  read -r net architecture <<<"$plan"
  output=$(<"$(plan_file "$net" $architecture)")
  check_plan "$net" $architecture bf16 "${output##*exit code }" "$output"
done
# Figures of another cuDNN version may differ: it may fuse more or less.
cudnn=$(grep -ahom 1 'cuDNN [0-9]* of CUDA [0-9]*' "$XDG_CACHE_HOME"/trainer/cuda/* | head -n 1)
if [[ ${2:-} == --record ]]; then
  { echo "# Launches and bytes of an iteration, planned with $cudnn. To rewrite this file: tests/system/cuda_plan.sh TRAINER --record"
    cat "$work/figures"; } >$figures
  echo "wrote $figures"
fi
recorded=$(sed -n '1s/.*planned with \(cuDNN.*\)\. To rewrite.*/\1/p' $figures)
difference=$(diff <(tail -n +2 $figures) "$work/figures")
if [[ -n $difference && $recorded != "$cudnn" ]]; then
  echo "SKIPPED launches and bytes: they are recorded for $recorded, and this is $cudnn"
else
  check launches_and_bytes_are_as_recorded "$difference" [ -z "$difference" ]
fi
# In phase TEST this net has bias and relu after depthwise convolutions, which cuDNN supports only without them.
net=models/mobilenet/mobilenet_train_val.prototxt
plan_bf16 $net sm_90 --phase=TEST
output=$(<"$(plan_file $net sm_90)")
check_plan "$net, phase TEST" sm_90 bf16 "${output##*exit code }" "$output"
finish
