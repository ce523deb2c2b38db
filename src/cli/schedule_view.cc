// Draws the schedule of a solver.
#include "cli/schedule_view.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/text.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "formats/atomic_file.h"
#include "report/log.h"
#include "report/svg_chart.h"
#include "report/text_chart.h"
#include "train/plateau.h"
#include "train/schedule_curves.h"
#include "train/setup.h"

namespace trainer {
namespace {

caffe::SolverParameter read_solver(const Arguments& arguments) {
  return resolved_solver(training_to_look_at(arguments));
}

std::string title_of(const Series& curve) {
  std::string title = curve.name;
  title.front() = static_cast<char>(title.front() - 'a' + 'A');
  return title;
}

// The values of all curves at eight evenly spaced iterations and the last one.
std::string table_of(const std::vector<Series>& curves) {
  constexpr size_t kParts = 8;
  std::string text = fmt::format("{:>12}", "iteration");
  for (const Series& curve : curves) text += fmt::format("  {:>14}", curve.name);
  const size_t last = curves.front().points.size() - 1, parts = std::min(last, kParts);
  for (size_t part = 0; part <= parts; ++part) {
    const size_t at = parts == 0 ? 0 : part * last / parts;
    text += fmt::format("\n{:>12}", format_count(curves.front().points[at].iteration));
    for (const Series& curve : curves) text += fmt::format("  {:>14.6g}", curve.points[at].value);
  }
  return text + "\n";
}

void write_svg(const std::string& path, const std::vector<Series>& curves, Existing existing) {
  std::vector<ChartPanel> panels;
  for (const Series& curve : curves) panels.push_back({title_of(curve), {{curve.name, &curve, 0, false}}});
  write_file(path, svg_file(panels), existing);
  log_info("Wrote the schedule to " + path);
}

}  // namespace

void show_schedule(const Arguments& arguments) {
  const std::string& output = arguments.text("output");
  const bool overwrite = arguments.get_bool("overwrite");
  if (!output.empty() && !overwrite) refuse_existing(output, "choose another name, or replace it with --overwrite");
  const caffe::SolverParameter solver = read_solver(arguments);
  const std::vector<Series> curves = schedule_curves(solver);
  std::printf("lr_policy \"%s\", %s iterations\n", solver.lr_policy().c_str(), format_count(solver.max_iter()).c_str());
  for (const Series& curve : curves) std::printf("\n%s\n%s", title_of(curve).c_str(), text_chart(curve).c_str());
  std::printf("\n%s", table_of(curves).c_str());
  if (is_plateau(solver))
    std::printf("The rate falls when the metric stops improving; the picture shows no reduction.\n");
  if (!output.empty()) write_svg(output, curves, overwrite ? Existing::kReplaced : Existing::kKept);
}

}  // namespace trainer
