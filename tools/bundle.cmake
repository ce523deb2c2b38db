# The bundle: a tarball that runs without Debian's packages and without root rights.
#
#   cmake --build build --target bundle       makes build/trainer-VERSION-linux-x86_64.tar.gz
#   cmake --install build --prefix FOLDER     installs the same tree into a folder
#
#   bin/trainer   finds lib/ by DT_RPATH. Unlike DT_RUNPATH it also serves the libraries' own dependencies, so that they
#                 need no path of their own, and it goes before LD_LIBRARY_PATH
#   lib/          libtrainer.so, the plugins, and the libraries that they need beyond the host's libc and libstdc++
#   include/      the headers of libtrainer.so (tools/package.cmake)
#   models/, docs/, README.md, CHANGELOG.md, LICENSE
#   licences/     which package each library comes from, the packages' copyright files, and NVIDIA's parts of the plugin

# A plugin that another CMakeLists.txt builds is included if its target is named here.
set(BUNDLE_PLUGINS)
foreach(plugin trainer_cuda trainer_gloo)
  if(TARGET ${plugin})
    list(APPEND BUNDLE_PLUGINS ${plugin})
  endif()
endforeach()

# Linked again, so that the program in the build folder keeps its own paths. If CMake rewrote a path during
# installation, it would leave an empty entry, for which the loader searches the working folder.
function(find_in_bundle target name)
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bundled
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "\$ORIGIN/../lib")
endfunction()
trainer_executable(trainer_bundled src/cli/main.cc)
target_link_libraries(trainer_bundled PRIVATE cli)
find_in_bundle(trainer_bundled trainer)
if(BUNDLE_PLUGINS)
  set_target_properties(${BUNDLE_PLUGINS} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "\$ORIGIN")
endif()

# Libraries in a folder that the system's loader searches would replace the system's own.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX ${PROJECT_BINARY_DIR}/bundle CACHE PATH "A folder for trainer only" FORCE)
endif()
install(CODE [[
  if(CMAKE_INSTALL_PREFIX MATCHES "^(/usr|/usr/local)?/*$")
    message(FATAL_ERROR "trainer installs its own libraries, so it needs a separate folder, not "
                        "${CMAKE_INSTALL_PREFIX}; for example --prefix /opt/trainer")
  endif()]])

install(TARGETS trainer_bundled trainer_library RUNTIME DESTINATION bin LIBRARY DESTINATION lib)
if(BUNDLE_PLUGINS)
  install(TARGETS ${BUNDLE_PLUGINS} LIBRARY DESTINATION lib)
endif()
set(plugin_files)
foreach(plugin IN LISTS BUNDLE_PLUGINS)
  list(APPEND plugin_files "$<TARGET_FILE:${plugin}>")
endforeach()
install(CODE "
  set(BUNDLE_PROGRAM \"$<TARGET_FILE:trainer>\")
  set(BUNDLE_LIBRARY \"$<TARGET_FILE:trainer_library>\")
  set(BUNDLE_PLUGINS \"${plugin_files}\")
  set(BUNDLE_FIRST \"${OPENBLAS_LIBRARY_DIR}\")
  set(CUDA_RUNTIME \"${CUDAToolkit_VERSION}\")")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/bundle_libraries.cmake)
install(DIRECTORY models DESTINATION .
  FILES_MATCHING PATTERN "README.md" PATTERN "*.prototxt" PATTERN "*_run" EXCLUDE)
install(DIRECTORY docs DESTINATION . FILES_MATCHING PATTERN "*.md")
install(FILES README.md CHANGELOG.md LICENSE DESTINATION .)

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME ${PROJECT_NAME}-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
# Unlike CPack's own `package` it builds no tests.
add_custom_target(bundle COMMAND ${CMAKE_CPACK_COMMAND} --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake
  DEPENDS trainer trainer_bundled ${BUNDLE_PLUGINS} WORKING_DIRECTORY ${PROJECT_BINARY_DIR} USES_TERMINAL VERBATIM)

# The bundle with the files that tools/gpu_check needs, for a machine with a GPU and without Debian's packages.
#
#   cmake --build build --target gpu_check_bundle    makes the folder build/gpu_check and build/gpu_check.tar.xz
#
# Packed as small as xz can, which takes minutes. It travels with the repository and the caches of an earlier call, so
# its limit is 48 MiB: beside Fashion-MNIST (25) it holds the tests that gpu_check runs, and stubs for some libraries.
if(TARGET trainer_tests)
  find_package(GTest REQUIRED)
  set(run_there "/(gpu|contract|conformance|several_devices)_test[.]cc")
  trainer_executable(trainer_tests_bundled $<FILTER:$<TARGET_OBJECTS:trainer_tests>,INCLUDE,${run_there}>)
  target_link_libraries(trainer_tests_bundled PRIVATE GTest::gtest GTest::gtest_main)
  find_in_bundle(trainer_tests_bundled trainer_tests)
  set(gpu_check COMPONENT gpu_check EXCLUDE_FROM_ALL)
  install(TARGETS trainer_tests_bundled RUNTIME DESTINATION bin ${gpu_check})
  install(PROGRAMS tools/gpu_check DESTINATION tools ${gpu_check})
  install(DIRECTORY tools/gpu_check.d DESTINATION tools ${gpu_check})
  install(FILES tools/bench.bash tools/bench_peer.py DESTINATION tools ${gpu_check})
  install(FILES tests/conformance/cases.tar.xz DESTINATION tests/conformance ${gpu_check})
  install(DIRECTORY tests/layers/modes DESTINATION tests/layers ${gpu_check})
  install(CODE "
    set(GPU_CHECK_SOURCE \"${PROJECT_SOURCE_DIR}\")
    set(GPU_CHECK_COMPILER \"${CMAKE_CXX_COMPILER}\")" ${gpu_check})
  install(SCRIPT tools/gpu_check_files.cmake ${gpu_check})
  set(folder ${PROJECT_BINARY_DIR}/gpu_check)
  add_custom_target(gpu_check_bundle
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
    COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${folder} --strip
    COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${folder} --strip --component gpu_check
    COMMAND ${CMAKE_COMMAND} -E env "XZ_OPT=--x86 --lzma2=preset=9e,lc=4" tar -C ${PROJECT_BINARY_DIR} -cJf ${folder}.tar.xz gpu_check
    COMMAND ${CMAKE_COMMAND} -DARCHIVE=${folder}.tar.xz -DMOST_MIB=48 -P ${PROJECT_SOURCE_DIR}/tools/gpu_check_size.cmake
    DEPENDS trainer trainer_bundled trainer_tests_bundled ${BUNDLE_PLUGINS} USES_TERMINAL VERBATIM)
endif()
