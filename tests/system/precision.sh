#!/bin/bash
# Tests --precision=bf16: if the processor does not support it, the message gives the reason; otherwise every net of models/
# runs in bf16, and a training can resume from a snapshot of another precision.
#
#   tests/system/precision.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net tiny.prototxt
output=$(TRAINER_ISA=v2 "$trainer" time --model=tiny.prototxt --iterations=1 --precision=bf16 2>&1)
check refused_without_kernels "exit code $?: $output" [ $? -eq 5 ]
check reason_is_told "$output" grep -q -- '--precision=bf16: .*AVX-512.*use fp32' <<<"$output"
output=$("$trainer" time --model=tiny.prototxt --precision=fp8 2>&1)
check unknown_precision "exit code $?: $output" [ $? -eq 2 ]

kernels=1
"$trainer" time --model=tiny.prototxt --iterations=1 --precision=bf16 >/dev/null 2>&1 || kernels=0
if ((kernels)); then
  cd "$source_folder" || exit 2
  for net in models/*/*_train_*.prototxt; do
    for phase in TRAIN TEST; do
      output=$("$trainer" time --model="$net" --stage=bench --phase=$phase --update --iterations=1 --precision=bf16 2>&1)
      check "$net $phase" "$(tail -n 3 <<<"$output")" grep -q 'Average Forward-Backward: ' <<<"$output"
    done
  done
  cd "$work" || exit 2
else
  echo "no bf16 kernels here: the nets of models/ are left out"
  export TRAINER_IMPL=reference
fi

cat >solver.prototxt <<'SOLVER'
net: "tiny.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 4 snapshot: 2 snapshot_prefix: "s" random_seed: 1
SOLVER
"$trainer" train --solver=solver.prototxt --run_dir= --precision=bf16 >narrow.log 2>&1
check trains "$(tail -n 3 narrow.log)" test -s s_iter_4.caffemodel
cp s_iter_4.caffemodel narrow.caffemodel
"$trainer" train --solver=solver.prototxt --run_dir= --precision=bf16 --snapshot=s_iter_2.solverstate >resumed.log 2>&1
check resumes_to_the_same_bits "$(tail -n 3 resumed.log)" cmp -s s_iter_4.caffemodel narrow.caffemodel
"$trainer" train --solver=solver.prototxt --run_dir= --snapshot=s_iter_2.solverstate >wide.log 2>&1
check goes_on_in_fp32 "$(tail -n 3 wide.log)" grep -q 'Optimization Done' wide.log
check report_names_it "$(grep -i device run/*/metrics.jsonl 2>/dev/null | head -1)" \
  bash -c '"$0" train --solver=solver.prototxt --run_dir=run --precision=bf16 >/dev/null 2>&1 && grep -rqs "cpu, bf16" run' "$trainer"
finish
