# Sourced by tools/gpu_check: the parts that measure an iteration, alone and in turn with PyTorch.

declare -A gpu_batches=([lenet]=64 [cifar10_full]=100 [caffenet]=256 [googlenet]=128 [resnet50]=128 [mobilenet]=128)
declare -A gpu_iterations=([lenet]=500 [cifar10_full]=500 [caffenet]=50 [googlenet]=40 [resnet50]=40 [mobilenet]=40)
repeats=3
on=gpu # or cpu

# On the CPU as in tools/bench: the net's own batch, and iterations for about a second on two cores.
batch_of() {
  if [[ $on = gpu ]]; then echo "${gpu_batches[$1]}"; else sed -n '/name: "bench"/,/dim:/s/.*shape { dim: \([0-9]*\).*/\1/p' "$(model_of "$1")"; fi
}
iterations_of() { if ((quick)); then echo 2; elif [[ $on = gpu ]]; then echo "${gpu_iterations[$1]}"; else echo "${iterations[$1]}"; fi; }

# precisions_of DEFAULT...: those of them that were requested and that trainer supports.
precisions_of() {
  local precision
  for precision in "$@"; do
    ((${#precisions[@]} == 0)) || [[ " ${precisions[*]} " == *" $precision "* ]] || continue
    ! "$trainer" help time | grep -- "--precision=[^ ]*$precision" >/dev/null || echo "$precision"
  done
}

peer_precisions() {
  local found
  found=$(precisions_of bf16 tf32 fp32)
  ((${#precisions[@]})) || found=${found/fp32/}
  echo $found
}

number_after() { sed -n "s/.*$1: \([0-9.e+-]*\).*/\1/p" output | tail -n 1; }
average() { number_after 'Average Forward-Backward'; }

# time_ours NET PRECISION FLAG...: one attempt.
time_ours() {
  local batch device=--cpu
  batch=$(batch_of "$1")
  [[ $on = cpu ]] || device=--gpu=0
  attempt 120 "$trainer" time "--model=$(model_of "$1")" --stage=bench $device --update "--precision=$2" "--iterations=$(iterations_of "$1")" \
    --set "layer[bench].dummy_data_param.shape[0].dim[0]=$batch" --set "layer[bench].dummy_data_param.shape[1].dim[0]=$batch" "${@:3}"
}

# PyTorch.

# Sets `torch` to PyTorch's version, or to nothing. `peer_device` is its device in the GPU's parts.
find_peer() {
  peer_device=${PEER_DEVICE:-cuda}
  peer=(python3 -W ignore "$bundle/tools/bench_peer.py")
  torch=$(timeout 60 python3 -c "import torch; torch.zeros(1, device='$peer_device'); print(torch.__version__)" 2>/dev/null)
  ((!quick)) || repeats=1 gpu_batches=([lenet]=4)
}

# serve_words NET PRECISION ITERATIONS: the arguments with which PyTorch serves this net in the first of $modes.
serve_words() {
  local device=cpu
  [[ $on = cpu ]] || device=$peer_device
  echo serve "$(model_of "$1")" "${modes[0]}" "$2" "$3" "--batch=$(batch_of "$1")" "--device=$device"
}

# Compiles the nets of part peer during the tests; the results go to torch.compile's cache.
start_warming() {
  [[ -n $torch && " ${parts[*]} " == *" peer "* ]] || return 0
  local precision net
  for precision in $(peer_precisions); do
    for net in "${nets[@]}"; do serve_words "$net" "$precision" 1; done
  done >to_compile
  # timeout ends all processes that it started.
  timeout -k 3 "$(left 600)" xargs -a to_compile -P 4 -L 1 "${peer[@]}" </dev/null >/dev/null 2>"$out/warming.log" &
  warming=$!
}
stop_warming() {
  [[ -n $warming ]] || return 0
  kill "$warming" 2>/dev/null
  wait "$warming" 2>/dev/null
  warming=''
}

# start_peer NET PRECISION LIMIT: starts PyTorch in the first of $modes that works, and sets `mode` and `peer_id`. It
# answers each line on descriptor 8 with one on 9. A mode that fails is not tried again. If PyTorch is not ready,
# `why_not` gives the reason.
start_peer() {
  local answer limit waited words
  why_not="no PyTorch that reaches $peer_device"
  [[ -n $torch ]] || return 1
  why_not="PyTorch failed in the modes asked for"
  while ((${#modes[@]})); do
    mode=${modes[0]} limit=$(left "$3")
    read -ra words < <(serve_words "$1" "$2" "$(iterations_of "$1")")
    rm -f requests answers
    mkfifo requests answers
    "${peer[@]}" "${words[@]}" <requests >answers 2>peer.log &
    peer_id=$!
    exec 8<>requests 9<>answers
    # In steps, because a peer that ended closes nothing.
    for ((waited = 0; waited < limit; ++waited)); do
      if read -r -t 1 answer <&9; then [[ $answer != ready ]] || return 0; fi
      kill -0 "$peer_id" 2>/dev/null || break
    done
    if ((waited == limit)); then
      why_not="PyTorch ($mode) not ready after $waited s"
      stop_peer
      return 1
    fi
    why_not="PyTorch ($mode) failed: $(grep -v '^ *$' peer.log | tail -n 1 | cut -c -200)"
    stop_peer
    modes=("${modes[@]:1}")
  done
  return 1
}

stop_peer() {
  kill "$peer_id" 2>/dev/null
  wait "$peer_id" 2>/dev/null
  peer_id=''
  exec 8>&- 9>&-
  { echo "== PyTorch ($mode)"; tail -n 30 peer.log; echo; } >>"$out/$part.log"
}

# ask_peer: appends a line to the file `theirs`.
ask_peer() {
  local answer
  echo go >&8
  read -r -t "$(left 60)" answer <&9 && echo "$answer" >>theirs
}

# compare NET PRECISION LIMIT: ours and PyTorch's in turn; PyTorch has LIMIT seconds to become ready.
compare() {
  local i mode='' why_not='' check
  check="$1 ($(batch_of "$1")) $2 ${modes[0]:-}"
  has_time 15 "$check" || return
  if [[ $on = gpu ]] && ((!gpu_works)); then row skipped "$check" "the program cannot compute on this GPU: see part net"; return; fi
  start_peer "$1" "$2" "$3" || { row skipped "$check" "$why_not"; return; }
  : >ours; : >theirs
  for ((i = 0; i < repeats; ++i)); do
    time_ours "$1" "$2"
    ((code == 0)) || break
    average >>ours
    ask_peer || break
  done
  stop_peer
  ((code == 0 || (cut && i > 0))) || { unfinished "$check"; return; }
  [[ -s theirs ]] || { row skipped "$check" "PyTorch ($mode) did not answer in time"; return; }
  local milliseconds theirs memory
  milliseconds=$(median <ours)
  theirs=$(awk '{ print $1 }' theirs | median)
  memory=$(if [[ $on = gpu ]]; then number_after 'Memory on the GPU'; else number_after 'Peak memory'; fi)
  row passed "$check" "$milliseconds ms, $memory MiB; PyTorch ($mode) $theirs ms, $(awk '{ print $2 }' theirs | median) MiB: $(ratio "$theirs" \
    "$milliseconds") times as fast; medians of $(wc -l <theirs)"
}

# The parts.

# measure NET PRECISION: only ours.
measure() {
  local check trace=$out/traces/$1_$2.json milliseconds speed
  check="$1 ($(batch_of "$1")) $2"
  has_time 5 "$check" || return
  time_ours "$1" "$2" "--trace=$trace"
  ((code == 0)) || { unfinished "$check"; return; }
  milliseconds=$(average)
  # The trace's operations in the time of an iteration of a training.
  speed=$(tr '{,}' '\n' <"$trace" | awk -F: -v ms="$milliseconds" -v peak="${peaks[$2]:-}" '
    $1 == "\"dur\"" { us = $2 } $1 == "\"gflops\"" { giga += $2 * us * 1e-6 } $1 == "\"best_gflops\"" { best = $2 }
    END { speed = giga / ms; if (peak == "") peak = best * 1e9; printf "%.4g TFLOP/s, %.1f%% of %.4g", speed, 100 * speed * 1e12 / peak, peak / 1e12 }')
  row passed "$check" "$milliseconds ms, $(number_after 'Memory on the GPU') MiB; $speed; step by step $(
    number_after 'Average iteration step by step, as the lines above count it') ms"
}

check_speed() {
  local net precision wanted peak
  declare -A peaks
  wanted=$(precisions_of bf16 tf32 fp32 fp16)
  ((${#precisions[@]})) || wanted=${wanted/fp16/}
  if [[ -n $torch ]]; then
    # shellcheck disable=SC2086
    while read -r precision peak; do peaks[$precision]=$peak; done < <(timeout "$(left 40)" "${peer[@]}" peak $wanted "--device=$peer_device" 2>/dev/null)
  fi
  for precision in $wanted; do
    for net in "${nets[@]}"; do measure "$net" "$precision"; done
  done
  timeout 20 nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv >>"$out/speed.log" 2>&1
}

check_peer() {
  local net precision
  for precision in $(peer_precisions); do
    for net in "${nets[@]}"; do compare "$net" "$precision" 150; done
  done
}

check_autotune() {
  local modes=(max-autotune)
  compare "${nets[0]}" bf16 200
}

# scaling NET: an iteration on few threads and on all cores.
scaling() {
  local threads one check
  for threads in $(printf '%s\n' 1 2 4 8 16 "$(nproc)" | sort -nu); do
    ((threads <= $(nproc))) || continue
    check="$1 ($(batch_of "$1")) fp32, threads: $threads"
    has_time 5 "$check" || return
    OMP_NUM_THREADS=$threads time_ours "$1" fp32
    ((code == 0)) || { unfinished "$check"; return; }
    ((threads > 1)) || one=$(average)
    row passed "$check" "$(average) ms: $(ratio "$one" "$(average)") times as fast as one thread"
  done
}

check_cpu() {
  local on=cpu net precision wanted mode repeats=$((repeats < 2 ? repeats : 2)) modes
  wanted=$(precisions_of fp32 bf16)
  for net in resnet50 lenet; do
    [[ " ${nets[*]} " != *" $net "* ]] || scaling "$net"
  done
  if [[ " $wanted " == *bf16* ]] && ! grep -qE -m 1 '^flags.* (avx512_bf16|amx_bf16)' /proc/cpuinfo; then
    row skipped bf16 "this CPU does not compute in bf16"
    wanted=${wanted/bf16/}
  fi
  for mode in nhwc compile; do
    for precision in $wanted; do
      for net in "${nets[@]}"; do
        modes=("$mode")
        compare "$net" "$precision" 60
      done
    done
  done
}
