// Checks the precision and the memory limit of a device.
#include "session/device_session.h"

#include "base/error.h"
#include "base/text.h"
#include "ranks/group.h"
#include "session/loss_scale.h"
#include "session/state_names.h"

namespace trainer {

DeviceSession::DeviceSession(std::unique_ptr<Device> opened, Precision compute)
    : device(std::move(opened)), precision(compute), store(*device), arena(*device) {
  const std::string reason = device->refuse_precision(precision);
  if (!reason.empty()) throw device_error("--precision={}: {}", name_of(precision), reason);
  if (scales_loss()) add_loss_scale(store);
}

void DeviceSession::limit_memory(int64_t total, int64_t buffers) {
  memory_limit_ = total;
  buffer_bytes_ = buffers;
}

int64_t DeviceSession::arena_limit() const {
  if (memory_limit_ == 0) return 0;
  const int64_t left = memory_limit_ - store.bytes() - buffer_bytes_;
  if (left <= 0)
    throw device_error(
        "--memory={}: {} take {} and data buffers {}, {} before anything is computed; give more{}",
        format_bytes(memory_limit_),
        store.contains(kGradientGroup) ? "parameters, gradients and history" : "parameters",
        format_bytes(store.bytes()), format_bytes(buffer_bytes_), format_bytes(store.bytes() + buffer_bytes_),
        store.bytes() < memory_limit_ ? ", or a smaller batch_size" : ": no batch_size makes them smaller");
  return left;
}

void join(DeviceSession& device_session, Group* group) {
  device_session.group = group;
  if (group == nullptr) return;
  device_session.rank = group->rank();
  device_session.world = group->size();
}

std::string repeated_text(const Program& program) {
  if (program.repeated.bytes_without == 0) return "";
  double operations = 0;
  for (const Step& step : program.steps) operations += step.operations;
  return fmt::format(
      "To fit, activations take {} instead of {}: the backward pass recomputes forward values with {:.1f}% more "
      "operations and the same bits",
      format_bytes(program.arena_bytes()), format_bytes(program.repeated.bytes_without),
      100 * program.repeated.operations / (operations - program.repeated.operations));
}

}  // namespace trainer
