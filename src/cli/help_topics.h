// The pages of docs/, embedded when the program is built: src/cli/embed_topics.cmake writes topics().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainer {

struct Topic {
  std::string_view name;  // the page's file name without ".md"
  std::string_view text;  // markdown; its first line lists other names: <!-- help: tutorial start -->
};

const std::vector<Topic>& topics();

// By name or other name, without regard to case and with "_" for "-"; nullptr if there is none.
const Topic* find_topic(const std::string& name);
// All names and other names.
std::vector<std::string> topic_names();

}  // namespace trainer
