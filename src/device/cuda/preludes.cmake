# Writes the source CUDA_PRELUDES, which holds the files of preludes/ as text, and defines the object library cuda_maps.
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

# The part that takes no toolkit, for the plugin and the tests.
set(CUDA_MAP_SOURCES device_properties.cc map_arguments.cc map_codegen.cc map_expression.cc map_schedule.cc)
list(TRANSFORM CUDA_MAP_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_library(cuda_maps OBJECT ${CUDA_MAP_SOURCES} ${CUDA_PRELUDES})
target_include_directories(cuda_maps PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(cuda_maps PRIVATE fmt::fmt)
