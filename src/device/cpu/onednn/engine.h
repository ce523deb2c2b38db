// The engine and stream of oneDNN: one each for the process. The C interface's objects are named here because
// running a primitive through the C++ one builds a list of arguments every time.
#pragma once

#include <dnnl.hpp>

#include <vector>

namespace trainer::cpu {

const dnnl::engine& onednn_engine();
const dnnl::stream& onednn_stream();

// A primitive with its arguments, ready to run. Memories are made without data; data() sets their address.
class OnednnCall {
 public:
  OnednnCall() = default;
  explicit OnednnCall(const dnnl::primitive& primitive) : primitive_(primitive) {}

  void argument(int role, const dnnl::memory& memory);
  void run() const;

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;  // keeps what arguments_ points to
  std::vector<dnnl_exec_arg_t> arguments_;
};

dnnl::memory onednn_memory(const dnnl::memory::desc& desc);

// A copy from one form and type to another.
OnednnCall onednn_reorder(const dnnl::memory& from, const dnnl::memory& to);

// Relu with this slope behind a primitive; NaN stays NaN.
dnnl::post_ops onednn_relu(float slope);

}  // namespace trainer::cpu
