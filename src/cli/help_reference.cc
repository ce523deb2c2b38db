// Writes the pages of `trainer help` as files.
#include "cli/help_reference.h"

#include <filesystem>

#include "cli/help_schema.h"
#include "cli/help_text.h"
#include "formats/atomic_file.h"
#include "layers/layer.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex =
    "# Reference\n\n`trainer help --markdown=docs/reference` writes these pages; `trainer help` shows them in a "
    "terminal.\n\n- [The solver](solver.md)\n- [Nets, and what all layers have in common](net.md)\n"
    "- [The flag --set](set.md)\n\n## Commands\n\n";
// The messages that nets consist of, apart from those of single layer types.
constexpr const char* kNetMessages[] = {"NetParameter", "LayerParameter", "ParamSpec",      "NetState",
                                        "NetStateRule", "BlobShape",      "FillerParameter"};

void write_page(const fs::path& path, const std::string& text) {
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  if (failed) throw data_error("cannot make folder {}: {}", path.parent_path().string(), failed.message());
  AtomicFile file(path.string());
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace

void write_reference(const std::string& folder) {
  const fs::path root(folder);
  write_page(root / "README.md", kIndex + command_table() + "\n## Layers\n\n" + layer_table());
  write_page(root / "solver.md", message_page("SolverParameter"));
  write_page(root / "set.md", set_page());
  std::string net;
  for (const char* message : kNetMessages) net += (net.empty() ? "" : "\n") + message_page(message);
  write_page(root / "net.md", net);
  for (const Command* command : commands())
    write_page(root / "commands" / (std::string(command->name) + ".md"), command_page(*command));
  for (const LayerType* layer : layer_types())
    write_page(root / "layers" / (std::string(layer->type) + ".md"), layer_page(layer->type));
}

}  // namespace trainer
