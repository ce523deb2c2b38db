# Installs the headers and the files that find_package(trainer) and pkg-config read. These use relative paths, so that
# the installed tree can be moved.
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/trainerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(tools/package/trainer.pc.in ${PROJECT_BINARY_DIR}/trainer.pc @ONLY)
install(DIRECTORY include/trainer DESTINATION include)
install(FILES tools/package/trainerConfig.cmake ${PROJECT_BINARY_DIR}/trainerConfigVersion.cmake DESTINATION lib/cmake/trainer)
install(FILES ${PROJECT_BINARY_DIR}/trainer.pc DESTINATION lib/pkgconfig)
