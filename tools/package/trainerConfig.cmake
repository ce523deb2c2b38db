# find_package(trainer) defines the target trainer::trainer. Its C++ header needs C++20, its C header C99.
get_filename_component(TRAINER_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET trainer::trainer)
  add_library(trainer::trainer SHARED IMPORTED)
  set_target_properties(trainer::trainer PROPERTIES
    IMPORTED_LOCATION "${TRAINER_PREFIX}/lib/libtrainer.so.0"
    IMPORTED_SONAME libtrainer.so.0
    INTERFACE_INCLUDE_DIRECTORIES "${TRAINER_PREFIX}/include")
endif()
