// Finds the embedded pages of docs/ by their names.
#include "cli/help_topics.h"

#include <cctype>

#include "base/text.h"

namespace trainer {
namespace {

std::string plain(const std::string& name) {
  std::string out;
  for (const char c : name) out += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> names_of(const Topic& topic) {
  std::vector<std::string> names{std::string(topic.name)};
  constexpr std::string_view kOpening = "<!-- help: ";
  if (topic.text.substr(0, kOpening.size()) != kOpening) return names;
  const std::string_view rest = topic.text.substr(kOpening.size());
  for (std::string& name : split(rest.substr(0, rest.find(" -->")), ' ')) names.push_back(std::move(name));
  return names;
}

}  // namespace

const Topic* find_topic(const std::string& name) {
  for (const Topic& topic : topics()) {
    for (const std::string& known : names_of(topic)) {
      if (known == plain(name)) return &topic;
    }
  }
  return nullptr;
}

std::vector<std::string> topic_names() {
  std::vector<std::string> names;
  for (const Topic& topic : topics()) {
    for (std::string& name : names_of(topic)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace trainer
