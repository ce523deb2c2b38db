// The program of a net on a planned device, without the values of its parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "session/net_session.h"
#include "train/update_rule.h"

namespace trainer {

struct NetPlan {
  // With `training` a forward-backward pass and its update by SGD with momentum, else a forward pass. `memory` is the
  // limit in bytes; 0 for none.
  NetPlan(NetSession& net, DeviceSession& device_session, bool training, int64_t memory);

  std::optional<UpdateRule> update;
  std::shared_ptr<const Program> program;
};

}  // namespace trainer
