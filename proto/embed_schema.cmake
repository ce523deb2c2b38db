# Writes a .cc file with the descriptors of a .proto file and their comments, so that the program can print the comments
# of its own schema:
#   cmake -DPROTOC=protoc -DINPUT=trainer.proto -DOUTPUT=schema_descriptors.cc -P embed_schema.cmake
get_filename_component(folder "${INPUT}" DIRECTORY)
set(descriptors "${OUTPUT}.desc")
execute_process(
  COMMAND "${PROTOC}" --include_source_info "--descriptor_set_out=${descriptors}" "-I${folder}" "${INPUT}"
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROTOC} cannot read ${INPUT}")
endif()
file(READ "${descriptors}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUTPUT}"
"// Written by proto/embed_schema.cmake.
#include \"config/schema_descriptors.h\"

namespace trainer {

static const unsigned char kBytes[] = {
${bytes}
};

std::string_view schema_descriptors() { return {reinterpret_cast<const char*>(kBytes), sizeof kBytes}; }

}  // namespace trainer
")
file(REMOVE "${descriptors}")
