// Writes the pages of `trainer help` as files.
#include "cli/help_reference.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/help_schema.h"
#include "cli/help_text.h"
#include "formats/atomic_file.h"
#include "layers/layer.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

// The first line of each page. A file that lacks it is not replaced.
constexpr const char* kMark = "<!-- Written by trainer help --markdown. -->";
constexpr const char* kIndex =
    "# Reference\n\n`trainer help --markdown=docs/reference` writes these pages; `trainer help` shows them in a "
    "terminal.\n\n- [The solver](solver.md)\n- [Nets, and what all layers have in common](net.md)\n"
    "- [The flag --set](set.md)\n\n## Commands\n\n";
// The messages that nets consist of, apart from those of single layer types.
constexpr const char* kNetMessages[] = {"NetParameter", "LayerParameter", "ParamSpec",      "NetState",
                                        "NetStateRule", "BlobShape",      "FillerParameter"};

struct Page {
  fs::path path;
  std::string text;
};

std::vector<Page> reference_pages(const fs::path& root) {
  std::string net;
  for (const char* message : kNetMessages) net += (net.empty() ? "" : "\n") + message_page(message);
  std::vector<Page> pages = {{root / "README.md", kIndex + command_table() + "\n## Layers\n\n" + layer_table()},
                             {root / "solver.md", message_page("SolverParameter")},
                             {root / "set.md", set_page()},
                             {root / "net.md", net}};
  for (const Command* command : commands())
    pages.push_back({root / "commands" / (std::string(command->name) + ".md"), command_page(*command)});
  for (const LayerType* layer : layer_types())
    pages.push_back({root / "layers" / (std::string(layer->type) + ".md"), layer_page(layer->type)});
  return pages;
}

void refuse_foreign(const fs::path& path) {
  std::error_code absent;
  if (!fs::exists(path, absent)) return;
  std::ifstream file(path);
  std::string line;
  if (std::getline(file, line) && line == kMark) return;
  throw config_error("--markdown: {} exists, and trainer did not write it: choose another folder", path.string());
}

void write_page(const Page& page) {
  const fs::path folder = page.path.parent_path();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw data_error("cannot make folder {}: {}", folder.string(), failed.message());
  const std::string text = fmt::format("{}\n{}", kMark, page.text);
  write_file(page.path.string(), text);
}

}  // namespace

void write_reference(const std::string& folder) {
  const std::vector<Page> pages = reference_pages(folder);
  for (const Page& page : pages) refuse_foreign(page.path);
  for (const Page& page : pages) write_page(page);
}

}  // namespace trainer
