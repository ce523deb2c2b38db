// Alone, a process reads each pass when it is complete. The processes of a group exchange the values of their passes
// after each round of batches.
#include "session/test_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>

#include "base/caught_error.h"
#include "base/error.h"
#include "ranks/group.h"
#include "session/round_report.h"

namespace trainer {
namespace {

// Runs the batches from `first` to `end` that this process owns, and reads each of them in order. Returns false if
// `before_batch` stopped it.
bool run_own(NetSession& net, int64_t first, int64_t end, const BeforeBatch& before_batch, const ReadPass& read) {
  std::vector<int64_t> running;
  const auto read_all_but = [&](size_t left) {
    for (; running.size() > left; running.erase(running.begin())) {
      net.finish();
      const std::vector<std::vector<float>>& outputs = net.read_outputs();
      read(running.front(), {outputs, net.measured(), net.counted(), net.loss(), net.items()});
    }
  };
  int64_t batch = first;
  for (; batch < end; ++batch) {
    if (!net.owns_next()) {
      net.pass_over();
      continue;
    }
    if (!before_batch(batch)) break;
    try {
      net.queue_next(ProgramKind::kForward, true);
    } catch (const Error&) {
      read_all_but(0);  // batches before a bad one count
      throw;
    }
    running.push_back(batch);
    read_all_but(net.runs_ahead() ? 1 : 0);
  }
  read_all_but(0);
  return batch == end;
}

// What the processes of a group must agree on: the test, and from where it reads.
std::string describe_test(const NetSession& net, int64_t batches) {
  std::string text = fmt::format("{} batches after {} passes", batches, net.passes());
  for (const auto& [layer, cursor] : net.data().cursors())
    text += fmt::format(", layer \"{}\" from record {} of {}", layer, cursor.records, cursor.content);
  return text;
}

// `reports`: of the first round.
void check_equal_tests(const std::vector<RoundReport>& reports, const std::vector<Member>& members) {
  for (size_t i = 1; i < reports.size(); ++i) {
    if (reports[i].test != reports[0].test)
      throw data_error("the processes do not run the same test. {}: {}. {}: {}. Give all of them the same data",
                       text_of(members[0]), reports[0].test, text_of(members[i]), reports[i].test);
  }
}

// Of each process: short enough that a request to stop and a test on the display do not wait long, and that the values
// of a round fit into memory.
int64_t batches_of_round(const std::vector<std::string>& texts, const std::vector<RoundReport>& reports) {
  constexpr double kMostBatches = 64, kSeconds = 1, kBytes = 64 << 20;
  double batches = kMostBatches;
  for (size_t i = 0; i < reports.size(); ++i) {
    const auto passes = static_cast<double>(std::max<size_t>(reports[i].passes.size(), 1));
    const double bytes = static_cast<double>(texts[i].size() * reports.size()) / passes;
    batches = std::min({batches, kBytes / bytes, kSeconds / std::max(reports[i].seconds, 1e-9)});
  }
  return std::max<int64_t>(1, static_cast<int64_t>(batches));
}

// Runs the batches of a round that this process owns.
RoundReport run_round(NetSession& net, int64_t first, int64_t end, bool reports_passes, const BeforeBatch& before_batch,
                      std::exception_ptr* error) {
  RoundReport report;
  const auto start = std::chrono::steady_clock::now();
  int64_t run = 0;
  // After a request to stop, the round continues, so that all processes stop at the same batch.
  const auto ask = [&](int64_t batch) {
    report.stop = report.stop || !before_batch(batch);
    return true;
  };
  try {
    run_own(net, first, end, ask, [&](int64_t, const PassView& pass) {
      ++run;
      if (reports_passes) report.passes.push_back({pass.outputs, pass.measured, pass.counted, pass.loss, pass.items});
    });
  } catch (...) {
    *error = std::current_exception();
    report.error = caught_error(true).what();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  report.seconds = seconds.count() / static_cast<double>(std::max<int64_t>(run, 1));
  return report;
}

// As run_own, by all processes of the group: after each round of batches they exchange what these gave.
bool run_in_rounds(Group& group, NetSession& net, int64_t batches, const BeforeBatch& before_batch,
                   const ReadPass& read) {
  const bool shared = net.shares_batches();
  const auto processes = static_cast<size_t>(group.size());
  const auto first_owner = static_cast<size_t>(net.next_owner());
  const std::string test = describe_test(net, batches);
  int64_t first = 0, length = 1;
  do {
    const int64_t end = std::min(batches, first + length * (shared ? group.size() : 1));
    std::exception_ptr error;
    RoundReport own = run_round(net, first, end, shared || group.is_first(), before_batch, &error);
    if (first == 0) own.test = test;
    const std::vector<std::string> texts = group.gather(to_bytes(own));
    std::vector<RoundReport> reports;
    for (const std::string& text : texts) reports.push_back(round_report_of(text));
    if (first == 0) check_equal_tests(reports, group.members());

    std::vector<size_t> added(processes);
    for (int64_t batch = first; batch < end; ++batch) {
      const size_t owner = shared ? (first_owner + static_cast<size_t>(batch)) % processes : 0;
      if (added[owner] == reports[owner].passes.size()) break;  // an error
      const PassValues& pass = reports[owner].passes[added[owner]++];
      read(batch, {pass.outputs, pass.measured, pass.counted, pass.loss, pass.items});
    }
    if (error) std::rethrow_exception(error);
    for (size_t i = 0; i < processes; ++i) {
      if (!reports[i].error.empty())
        group.throw_rank_failed(
            LaneError(fmt::format("{} failed in a test: {}", text_of(group.members()[i]), reports[i].error)));
    }
    const auto stops = [](const RoundReport& report) { return report.stop; };
    if (std::any_of(reports.begin(), reports.end(), stops)) return false;
    length = batches_of_round(texts, reports);
    first = end;
  } while (first < batches);
  return true;
}

}  // namespace

bool run_batches(NetSession& net, int64_t batches, const BeforeBatch& before_batch, const ReadPass& read) {
  Group* const group = net.group();
  const bool alone = group == nullptr || group->size() == 1;
  return alone ? run_own(net, 0, batches, before_batch, read) : run_in_rounds(*group, net, batches, before_batch, read);
}

}  // namespace trainer
