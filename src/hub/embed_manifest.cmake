# Writes a .cc file that holds the manifest of the program:
#   cmake -DINPUT=manifest.prototxt -DOUTPUT=hub_manifest.cc -P embed_manifest.cmake
file(READ "${INPUT}" text)
file(WRITE "${OUTPUT}"
"// Written by src/hub/embed_manifest.cmake.
#include \"hub/manifest.h\"

namespace trainer {

std::string_view own_manifest() { return R\"manifest(${text})manifest\"; }

}  // namespace trainer
")
