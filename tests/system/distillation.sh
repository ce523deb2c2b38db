#!/bin/bash
# Distillation: a frozen teacher in the net of its student keeps its weights, and the student learns its scores.
#
#   tests/system/distillation.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

write_tiny_net teacher.prototxt
cat >solver.prototxt <<'END'
net: "teacher.prototxt" base_lr: 0.5 lr_policy: "fixed" max_iter: 5 random_seed: 1 snapshot_prefix: "teacher"
END
"$trainer" train --solver=solver.prototxt --run_dir= >teacher.log 2>&1 || bad teacher "$(cat teacher.log)"

# The teacher's layers, frozen, then the student.
sed -e 's/type: "Convolution"/& phase: TEST param { lr_mult: 0 } param { lr_mult: 0 }/' \
  -e 's/type: "InnerProduct"/& phase: TEST param { lr_mult: 0 } param { lr_mult: 0 }/' \
  -e '/SoftmaxWithLoss/d' teacher.prototxt >student.prototxt
cat >>student.prototxt <<'END'
layer {
  name: "student" type: "InnerProduct" bottom: "data" top: "student"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "no_label" type: "Silence" bottom: "label" }
layer {
  name: "loss" type: "KLDivergenceLoss" bottom: "student" bottom: "ip" top: "loss"
  kl_divergence_loss_param { temperature: 2 }
}
END
cat >solver.prototxt <<'END'
net: "student.prototxt" base_lr: 0.05 lr_policy: "fixed" max_iter: 200 random_seed: 1 snapshot_prefix: "student"
display: 1 average_loss: 1
END
"$trainer" train --solver=solver.prototxt --weights=teacher_iter_5.caffemodel --run_dir= >student.log 2>&1 ||
  bad student "$(tail -n 20 student.log)"
check teacher_loaded "$(grep Weights student.log)" grep -q '2 layers loaded, 1 fresh' student.log

# The mean of ten losses, from the line of this number on.
mean_loss() { grep -oE 'loss = [0-9.e-]+' student.log | sed -n "$1,$(($1 + 9))p" | awk '{ sum += $3 } END { print sum / NR }'; }
first=$(mean_loss 1) last=$(mean_loss 190)
check student_learns "loss $first, then $last" awk "BEGIN { exit !($last < 0.7 * $first) }"

sed 's/type: "DummyData" top: "data" top: "label"/type: "Input" top: "data"/; /dummy_data_param/,/^  }/d' teacher.prototxt |
  sed 's/^layer {$/&/; /SoftmaxWithLoss/d; s/top: "data"$/& input_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } }/' >scores.prototxt
for weights in teacher_iter_5 student_iter_200; do
  "$trainer" extract_features --model=scores.prototxt --weights=$weights.caffemodel --fill=data=0.5 ip $weights.npy 1 npy \
    >log 2>&1 || bad "scores_of_$weights" "$(cat log)"
done
check teacher_kept "its scores differ" cmp teacher_iter_5.npy student_iter_200.npy
finish
