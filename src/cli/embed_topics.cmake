# Writes a .cc file that holds the pages of a folder, so that `trainer help TOPIC` can show them:
#   cmake -DFOLDER=docs -DOUTPUT=topics.cc -P embed_topics.cmake
file(GLOB pages "${FOLDER}/*.md")
set(entries "")
foreach(page IN LISTS pages)
  get_filename_component(name "${page}" NAME_WE)
  file(READ "${page}" text)
  string(APPEND entries "      {\"${name}\", R\"page(${text})page\"},\n")
endforeach()
file(WRITE "${OUTPUT}"
"// Written by src/cli/embed_topics.cmake.
#include \"cli/help_topics.h\"

namespace trainer {

const std::vector<Topic>& topics() {
  static const std::vector<Topic> pages = {
${entries}  };
  return pages;
}

}  // namespace trainer
")
