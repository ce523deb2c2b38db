# Runs during installation of the component gpu_check: installs the commit of its sources, stubs for libraries, and
# Fashion-MNIST if it is present.
execute_process(COMMAND git -C ${GPU_CHECK_SOURCE} describe --always --abbrev=40 --dirty
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit "unknown")
endif()
file(WRITE ${CMAKE_INSTALL_PREFIX}/commit "${commit}\n")

execute_process(COMMAND ${GPU_CHECK_SOURCE}/tools/gpu_check_stubs ${CMAKE_INSTALL_PREFIX} ${GPU_CHECK_COMPILER}
  COMMAND_ERROR_IS_FATAL ANY)

set(data data/fashion-mnist)
file(MAKE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${data})
foreach(folder /usr/share/datasets/fashion-mnist ${GPU_CHECK_SOURCE}/${data} $ENV{FASHION_MNIST})
  file(GLOB packed ${folder}/*-ubyte.gz)
  foreach(file IN LISTS packed)
    # Unpacked, because the archive of all files compresses them better.
    get_filename_component(name ${file} NAME_WLE)
    execute_process(COMMAND gzip -dc ${file} OUTPUT_FILE ${CMAKE_INSTALL_PREFIX}/${data}/${name})
  endforeach()
endforeach()
