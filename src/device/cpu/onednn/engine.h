// The engine and the stream of oneDNN, one each per process. Primitives run through the C API, because the C++ API
// builds a list of arguments on every run.
#pragma once

#include <dnnl.hpp>

#include <vector>

namespace trainer::cpu {

const dnnl::engine& onednn_engine();
const dnnl::stream& onednn_stream();

// A primitive with its arguments. The memories have no data at first; data() sets their addresses.
class OnednnCall {
 public:
  OnednnCall() = default;
  explicit OnednnCall(const dnnl::primitive& primitive) : primitive_(primitive) {}

  void argument(int role, const dnnl::memory& memory);
  void run() const;

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;  // owns the objects in arguments_
  std::vector<dnnl_exec_arg_t> arguments_;
};

dnnl::memory onednn_memory(const dnnl::memory::desc& desc);

// A copy between layouts and types.
OnednnCall onednn_reorder(const dnnl::memory& from, const dnnl::memory& to);

// A relu after a primitive; it propagates NaN.
dnnl::post_ops onednn_relu(float slope);

}  // namespace trainer::cpu
