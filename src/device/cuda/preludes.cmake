# Writes the source CUDA_PRELUDES, which holds the files of preludes/ as text.
file(GLOB PRELUDES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/preludes/*.h)
set(DEFINITIONS)
foreach(file ${PRELUDES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(REPLACE "#pragma once\n" "" text "${text}")
  string(APPEND DEFINITIONS "const char ${name}[] = R\"text(${text})text\";\n")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PRELUDES})
set(CUDA_PRELUDES ${PROJECT_BINARY_DIR}/cuda_preludes.cc)
file(CONFIGURE OUTPUT ${CUDA_PRELUDES} @ONLY CONTENT "// Written by preludes.cmake.
#include \"device/cuda/preludes.h\"

namespace trainer::cuda::preludes {

@DEFINITIONS@
}  // namespace trainer::cuda::preludes
")
