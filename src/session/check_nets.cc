// Opens nets to find the problems that their text does not show.
#include "session/check_nets.h"

namespace trainer {

void NetProblems::collect(const std::function<void()>& open) {
  try {
    open();
  } catch (const DiagnosticsError& error) {
    list_.add_all(error.problems());
  }
}

void add_net_problems(const std::vector<FilteredNet>& nets, const GivenShapes& given, Diagnostics* diagnostics,
                      InputUse inputs) {
  NetProblems problems;
  DeviceSession device_session(DeviceSpec().planned());
  for (const FilteredNet& net : nets) {
    if (net.net == nullptr || net.positions->faulty(*net.net)) continue;
    try {
      problems.collect(
          [&] { NetSession(*net.net, *net.positions, net.state.phase(), 0, device_session, given, inputs); });
    } catch (const Error&) {
      // It has no place in a text. The next run meets it again, after the listed problems are solved.
    }
  }
  diagnostics->add_all(problems.list());
}

}  // namespace trainer
