// oneDNN's engine and stream, and calls of its primitives.
#include "device/cpu/onednn/engine.h"

#include <cfloat>

#include "base/error.h"

namespace trainer::cpu {

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

const dnnl::stream& onednn_stream() {
  static const dnnl::stream stream(onednn_engine());
  return stream;
}

dnnl::memory onednn_memory(const dnnl::memory::desc& desc) {
  return dnnl::memory(desc, onednn_engine(), DNNL_MEMORY_NONE);
}

void OnednnCall::argument(int role, const dnnl::memory& memory) {
  memories_.push_back(memory);
  arguments_.push_back({role, memory.get()});
}

void OnednnCall::run() const {
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), onednn_stream().get(),
                                                      static_cast<int>(arguments_.size()), arguments_.data());
  TRAINER_ASSERT(status == dnnl_success);
}

OnednnCall onednn_reorder(const dnnl::memory& from, const dnnl::memory& to) {
  OnednnCall call{dnnl::reorder(from, to)};
  call.argument(DNNL_ARG_FROM, from);
  call.argument(DNNL_ARG_TO, to);
  return call;
}

// With slope 0, oneDNN computes a maximum, which turns NaN into 0 and would hide a diverged net. Other slopes keep NaN.
// The smallest slope, applied twice, makes every negative number -0 or 0, and the sum with 0 makes -0 0.
dnnl::post_ops onednn_relu(float slope) {
  dnnl::post_ops post;
  for (int i = 0; i < (slope == 0 ? 2 : 1); ++i)
    post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, slope == 0 ? FLT_MIN : slope, 0.0f);
  if (slope == 0) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, 1.0f, 0.0f);
  return post;
}

}  // namespace trainer::cpu
