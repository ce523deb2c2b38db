// Runs the function of an opaque op.
#include "ops/opaque.h"
#include "device/cpu/reference/reference.h"

namespace trainer::cpu {
namespace {

class Opaque : public Kernel {
 public:
  explicit Opaque(const OpInstance& instance)
      : op_(instance.op->as<OpaqueAttributes>().op),
        inputs_(instance.inputs.size()),
        outputs_(instance.outputs.size()) {}

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void*) override {
    for (size_t i = 0; i < inputs_.size(); ++i) inputs_[i] = static_cast<const float*>(inputs[i]);
    for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i] = static_cast<float*>(outputs[i]);
  }
  void run(const RunContext& context) override { op_->run(inputs_, outputs_, context.pass); }

 private:
  std::shared_ptr<const OpaqueOp> op_;
  std::vector<const float*> inputs_;
  std::vector<float*> outputs_;
};

}  // namespace

std::string refuse_nothing(const OpInstance&) { return ""; }

std::unique_ptr<Kernel> create_opaque(const OpInstance& instance) { return std::make_unique<Opaque>(instance); }

}  // namespace trainer::cpu
