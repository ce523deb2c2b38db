// oneDNN's engine and stream, and calls of its primitives.
#include "device/cpu/onednn/engine.h"

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

}  // namespace trainer::cpu
