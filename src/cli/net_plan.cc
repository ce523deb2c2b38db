// Plans a net.
#include "cli/net_plan.h"

#include "session/parameters.h"

namespace trainer {

NetPlan::NetPlan(NetSession& net, DeviceSession& device_session, bool training, int64_t memory) {
  declare_parameters(net.lowered(), training, device_session.store);
  if (training) update.emplace(default_solver(), trained_parameters(net.lowered()), device_session);
  device_session.limit_memory(memory, net.data().batch_bytes());
  program = net.program(training ? ProgramKind::kTrain : ProgramKind::kForward);
}

}  // namespace trainer
