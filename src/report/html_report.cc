// Builds report.html.
#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "base/text.h"
#include "report/live_line.h"
#include "report/svg_chart.h"

namespace trainer {
namespace {

constexpr int kColors = 6;
constexpr size_t kRowsShown = 40;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --back: #ffffff; --text: #1c2024; --soft: #60666d; --axis: #d9dce0; --card: #f5f6f8;
  --series-0: #2864c8; --series-1: #d1570f; --series-2: #157f5b; --series-3: #8a3fb5; --series-4: #b0243f; --series-5: #7a6a00; }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --text: #e4e7ea; --soft: #9aa2ab; --axis: #343a41; --card: #1e2227;
  --series-0: #7fb0ff; --series-1: #ff9d5c; --series-2: #5fd0a2; --series-3: #cf9bf2; --series-4: #ff8197; --series-5: #d8c84a; } }
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; max-width: 860px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } .soft { color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.facts div { background: var(--card); border-radius: 6px; padding: .5rem .7rem; overflow-wrap: anywhere; }
.facts b { display: block; font-size: 1.1rem; } .facts span { color: var(--soft); font-size: .85rem; }
figure { margin: 1.4rem 0; } figcaption b { margin-right: 1rem; } figcaption span { margin-right: 1rem; white-space: nowrap; }
figcaption i { display: inline-block; width: 12px; height: 3px; margin-right: .4rem; vertical-align: middle; }
svg { width: 100%; height: auto; } .grid { stroke: var(--axis); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.right { fill: var(--series-0); background: var(--series-0); } .wrong { fill: var(--series-4); background: var(--series-4); }
.empty { fill: var(--card); } .low { fill: var(--text); } .high { fill: var(--back); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
th, td { padding: .2rem .9rem .2rem 0; text-align: right; border-bottom: 1px solid var(--axis); } th { color: var(--soft); font-weight: 500; }
td:first-child, th:first-child { text-align: left; } .text { text-align: left; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: 6px; padding: .8rem; overflow-x: auto; font-size: 13px; } summary { cursor: pointer; margin: .6rem 0; }
)";

int64_t integer(const JsonFields& fields, const char* key) { return std::atoll(field(fields, key).c_str()); }

bool is_test(const Series& series) { return series.split.compare(0, 4, "test") == 0; }

std::string fact(const std::string& name, const std::string& value) {
  return value.empty() ? ""
                       : fmt::format("<div><span>{}</span><b>{}</b></div>\n", html_escaped(name), html_escaped(value));
}

std::string facts(const RunHistory& history) {
  const int64_t last = integer(history.end, "iteration");
  std::string out = "<div class=\"facts\">\n";
  out += fact("outcome", history.end.empty() ? "running" : field(history.end, "outcome"));
  if (!history.end.empty()) out += fact("iterations", format_count(last));
  out += fact("time", duration_text(history.seconds));
  out += fact("solver", field(history.begin, "solver"));
  out += fact("device", field(history.begin, "device"));
  if (!history.best.empty())
    out += fact("best " + field(history.best, "metric"),
                fmt::format("{:.6g} at {}", std::atof(field(history.best, "value").c_str()),
                            format_count(integer(history.best, "iteration"))));
  for (const Series& series : history.series) {
    if (!is_test(series) || series.points.empty()) continue;
    const SeriesPoint& best = series.loss ? *series.lowest() : *series.highest();
    out +=
        fact(fmt::format("{} {}, last", series.split, series.name), fmt::format("{:.6g}", series.points.back().value));
    out += fact(fmt::format("{} {}, {}", series.split, series.name, series.loss ? "lowest" : "highest"),
                fmt::format("{:.6g} at {}", best.value, format_count(best.iteration)));
  }
  return out + "</div>\n";
}

std::string warnings(const RunHistory& history) {
  std::string out;
  for (const JsonFields& retry : history.retries)
    out += fmt::format(
        "<p>The loss of iteration {} was not finite: the training continued from iteration {} with {} times its "
        "learning rate.</p>\n",
        format_count(integer(retry, "iteration")), format_count(integer(retry, "continued_from")),
        html_escaped(field(retry, "rate_factor")));
  for (const Series& series : history.series) {
    if (series.not_finite > 0)
      out += fmt::format("<p>{} values of {} {} were not finite.</p>\n", format_count(series.not_finite),
                         html_escaped(series.split), html_escaped(series.name));
  }
  return out;
}

// Losses share one chart. Every other name has its own chart, with its train and test lines.
std::string charts(const RunHistory& history) {
  std::vector<std::string> titles;
  std::map<std::string, std::vector<ChartLine>> by_title;
  for (const Series& series : history.series) {
    const std::string title = series.loss ? "Loss" : series.name;
    std::vector<ChartLine>& lines = by_title[title];
    if (lines.empty()) titles.push_back(title);
    lines.push_back(
        {series.split + " " + series.name, &series, static_cast<int>(lines.size()) % kColors, is_test(series)});
  }
  std::stable_partition(titles.begin(), titles.end(), [](const std::string& title) { return title == "Loss"; });
  std::string out;
  for (const std::string& title : titles) out += svg_chart(title, by_title[title]);
  return out.empty() ? "<p class=\"soft\">No values yet.</p>\n" : out;
}

std::string test_table(const RunHistory& history) {
  std::map<int64_t, std::map<size_t, double>, std::greater<>> rows;
  std::vector<const Series*> columns;
  for (const Series& series : history.series) {
    if (!is_test(series)) continue;
    for (const SeriesPoint& point : series.points) rows[point.iteration][columns.size()] = point.value;
    columns.push_back(&series);
  }
  if (rows.empty()) return "";
  std::string out = "<h2>Tests</h2>\n<div class=\"wide\"><table><tr><th>iteration</th>";
  for (const Series* column : columns)
    out += fmt::format("<th>{} {}</th>", html_escaped(column->split), html_escaped(column->name));
  out += "</tr>\n";
  size_t shown = 0;
  for (const auto& row : rows) {
    if (++shown > kRowsShown) break;
    out += fmt::format("<tr><td>{}</td>", format_count(row.first));
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto cell = row.second.find(i);
      out += cell == row.second.end() ? "<td></td>" : fmt::format("<td>{:.6g}</td>", cell->second);
    }
    out += "</tr>\n";
  }
  out += "</table></div>\n";
  if (rows.size() > kRowsShown)
    out += fmt::format("<p class=\"soft\">The last {} tests; all are in metrics.jsonl.</p>\n", kRowsShown);
  return out;
}

std::string snapshot_table(const RunHistory& history) {
  if (history.snapshots.empty() && history.best.empty()) return "";
  std::string out = "<h2>Snapshots</h2>\n";
  if (!history.best.empty())
    out += fmt::format("<p>The best weights, of iteration {}, are in {}.</p>\n",
                       format_count(integer(history.best, "iteration")), html_escaped(field(history.best, "weights")));
  out += "<div class=\"wide\"><table><tr><th>iteration</th><th class=\"text\">weights</th></tr>\n";
  const size_t skipped = history.snapshots.size() > kRowsShown ? history.snapshots.size() - kRowsShown : 0;
  for (size_t i = history.snapshots.size(); i > skipped; --i) {
    const JsonFields& snapshot = history.snapshots[i - 1];
    out += fmt::format("<tr><td>{}</td><td class=\"text\">{}</td></tr>\n", format_count(integer(snapshot, "iteration")),
                       html_escaped(field(snapshot, "weights")));
  }
  return out + "</table></div>\n";
}

std::string folded(const char* title, const std::string& text) {
  return text.empty()
             ? ""
             : fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n", title, html_escaped(text));
}

}  // namespace

std::string html_report(const RunHistory& history, const std::string& tests, const std::string& net_text,
                        const std::string& solver_text) {
  const std::string net = html_escaped(field(history.begin, "net"));
  return fmt::format(
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
             "content=\"width=device-width\">\n<title>{0}: a run of trainer</title>\n<style>{1}</style></head>\n"
             "<body>\n<h1>{0}</h1>\n<p class=\"soft\">{2}<br>{3}</p>\n",
             net, kStyle, html_escaped(history.started), html_escaped(field(history.begin, "command"))) +
         facts(history) + warnings(history) + charts(history) + test_table(history) + tests + snapshot_table(history) +
         "<h2>Files</h2>\n" + folded("Solver", solver_text) + folded("Net", net_text) +
         "<p class=\"soft\">Made by trainer " TRAINER_VERSION
         " from metrics.jsonl next to this file.</p>\n</body></html>\n";
}

}  // namespace trainer
