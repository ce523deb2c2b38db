// Shows published weights.
#include "cli/weight_names_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "hub/weight_names.h"
#include "report/json_document.h"

namespace trainer {
namespace {

std::string size_text(const hub::Weights& weights) {
  return weights.has_mib() ? fmt::format("{:.1f}", weights.mib()) : "-";
}

std::string licence_text(const hub::Weights& weights) {
  return weights.has_licence() ? printable(weights.licence()) : "not stated";
}

std::string checksum_text(const hub::Weights& weights) {
  if (!weights.has_sha256()) return "none: only HTTPS protects the download";
  return weights.sha256() + (has_whole_checksum(weights) ? "" : "...");
}

// "mean: 0.5 mean: 0.5".
std::string repeated_field(const char* name, const google::protobuf::RepeatedField<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format(" {}: {}", name, value);
  return text;
}

// The fields of a data layer in phase TEST.
std::vector<std::string> preprocessing_lines(const hub::Preprocessing& steps) {
  std::vector<std::string> lines = {"channel_order: " + hub::Preprocessing_ChannelOrder_Name(steps.channel_order())};
  if (steps.has_short_side())
    lines.push_back(fmt::format("augment {{ resize {{ short_side: {} filter: {} }} }}", steps.short_side(),
                                hub::Preprocessing_ResizeFilter_Name(steps.filter())));
  if (steps.has_crop_size())
    lines.push_back(fmt::format("augment {{ center_crop {{ size: {} }} }}", steps.crop_size()));
  if (steps.mean_size() > 0 || steps.std_size() > 0)
    lines.push_back(fmt::format("augment {{ normalize {{{}{} }} }}", repeated_field("mean", steps.mean()),
                                repeated_field("std", steps.std())));
  return lines;
}

std::string details(const hub::Weights& weights) {
  std::string text = weights.name() + "\n";
  const auto add = [&](const char* label, const std::string& value) {
    text += fmt::format("  {:<15}{}\n", label, value);
  };
  if (weights.has_net()) add("net", printable(weights.net()));
  add("address", weights.url());
  add("size", weights.has_mib() ? size_text(weights) + " MiB" : "not stated");
  add("SHA-256", checksum_text(weights));
  add("licence", licence_text(weights));
  add("file", cached_path(weights) + (is_cached(weights) ? "" : " (not downloaded)"));
  const char* label = "preprocessing";
  if (!weights.has_preprocessing()) add(label, "not stated");
  for (const std::string& line : preprocessing_lines(weights.preprocessing())) {
    if (weights.has_preprocessing()) add(std::exchange(label, ""), line);
  }
  return text;
}

void add_preprocessing(const hub::Preprocessing& steps, JsonDocument* json) {
  json->open_object("preprocessing");
  json->add("channel_order", hub::Preprocessing_ChannelOrder_Name(steps.channel_order()));
  if (steps.has_short_side())
    json->add("short_side", static_cast<int64_t>(steps.short_side()))
        .add("filter", hub::Preprocessing_ResizeFilter_Name(steps.filter()));
  if (steps.has_crop_size()) json->add("crop_size", static_cast<int64_t>(steps.crop_size()));
  json->open_array("mean");
  for (const double value : steps.mean()) json->add_number(value);
  json->close().open_array("std");
  for (const double value : steps.std()) json->add_number(value);
  json->close().close();
}

}  // namespace

std::vector<hub::Weights> select_weights(const std::vector<std::string>& names) {
  std::vector<hub::Weights> all = published_weights(), selected;
  if (names.empty()) return all;
  std::vector<std::string> known;
  for (const hub::Weights& weights : all) known.push_back(weights.name());
  for (const std::string& name : names) {
    const auto found = std::ranges::find(known, name);
    if (found == known.end()) {
      const std::vector<std::string> of_net = published_names_of(name);
      throw config_error("no manifest has weights with the name \"{}\"{}", printable(name),
                         of_net.empty() ? suggest(name, known, "; did you mean {}?")
                                        : fmt::format("; those of this net are {}", fmt::join(of_net, ", ")));
    }
    selected.push_back(all[static_cast<size_t>(found - known.begin())]);
  }
  return selected;
}

std::string weight_names_table(const std::vector<hub::Weights>& list) {
  size_t name_width = 4, net_width = 3;
  for (const hub::Weights& weights : list) {
    name_width = std::max(name_width, weights.name().size());
    net_width = std::max(net_width, printable(weights.net()).size());
  }
  const auto line = [&](const std::string& name, const std::string& net, const std::string& size,
                        const std::string& here, const std::string& licence) {
    return fmt::format("{:<{}}  {:<{}}  {:>8}  {:<10}  {}\n", name, name_width, net, net_width, size, here, licence);
  };
  std::string text = line("name", "net", "MiB", "downloaded", "licence");
  for (const hub::Weights& weights : list)
    text += line(weights.name(), printable(weights.net()), size_text(weights), is_cached(weights) ? "yes" : "no",
                 licence_text(weights));
  if (!list.empty())
    text += fmt::format("Downloaded files are in {}.\n",
                        std::filesystem::path(cached_path(list.front())).parent_path().string());
  return text;
}

std::string weight_names_details(const std::vector<hub::Weights>& list) {
  std::string text;
  for (const hub::Weights& weights : list) text += details(weights);
  return text;
}

std::string weight_names_json(const std::vector<hub::Weights>& list) {
  JsonDocument json;
  json.open_array("weights");
  for (const hub::Weights& weights : list) {
    json.open_object().add("name", weights.name()).add("net", weights.net()).add("url", weights.url());
    json.add("sha256", weights.sha256()).add("licence", weights.licence());
    if (weights.has_mib()) json.add("mib", weights.mib());
    json.add("file", cached_path(weights)).add_bool("downloaded", is_cached(weights));
    if (weights.has_preprocessing()) add_preprocessing(weights.preprocessing(), &json);
    json.close();
  }
  return json.close().text();
}

}  // namespace trainer
