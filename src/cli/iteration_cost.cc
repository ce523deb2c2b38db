// Sums the cost of the steps of programs.
#include "cli/iteration_cost.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainer {
namespace {

bool is_product(OpKind kind) {
  return kind == OpKind::kMatmul || kind == OpKind::kConvolution || kind == OpKind::kConvolutionInputGradient ||
         kind == OpKind::kConvolutionWeightGradient;
}

// "an H200", "a B200": the article depends on the name of the first letter.
std::string with_article(const std::string& name) {
  return (std::string("AEFHILMNORSX").find(name.front()) == std::string::npos ? "a " : "an ") + name;
}

}  // namespace

double bytes_of(const Step& step) { return step.bytes + static_cast<double>(step.kernel->cost().bytes); }

void IterationCost::add(const Program& program) {
  for (const Step& step : program.steps) {
    const double bytes = bytes_of(step);
    launches_ += step.kernel->cost().launches;
    bytes_ += bytes;
    operations_ += step.operations;
    if (!sheet_) continue;
    const double peak = is_product(step.op.kind) ? sheet_->products : sheet_->speed.operations;
    seconds_ += std::max(bytes / sheet_->speed.bytes, step.operations / peak);
  }
}

std::string IterationCost::text() const {
  std::string text = fmt::format("{} launches, {:.4g} GB read and written, {:.4g} TFLOP", launches_, bytes_ * 1e-9,
                                 operations_ * 1e-12);
  if (sheet_) text += fmt::format("; at least {:.3g} ms on {}", seconds_ * 1e3, with_article(sheet_->name));
  return text;
}

}  // namespace trainer
