# Sourced by tools/bench, tools/bench_data and tools/bench_growth, from the repository's root.

trainer=build/trainer
all_nets=(lenet cifar10_full caffenet googlenet resnet50 mobilenet)
# Iteration counts that take about a second.
declare -A iterations=([lenet]=200 [cifar10_full]=30 [caffenet]=6 [googlenet]=6 [resnet50]=4 [mobilenet]=4)

model_of() { compgen -G "models/$1/$1_train_*.prototxt"; }
# The median of the numbers in the lines of standard input.
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
