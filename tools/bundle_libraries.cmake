# Runs during installation. Copies the libraries that BUNDLE_PROGRAM, BUNDLE_LIBRARY and BUNDLE_PLUGINS need to lib/,
# each as one file with the name by which it is loaded, and their origin and licences to licences/. BUNDLE_FIRST: the
# folder that the program searches before the system's. CUDA_RUNTIME: the version of the one that the plugins contain.

# The host's libraries: libc's family must match the loader, and a library of the host (for example a driver) may need a
# libstdc++ that is newer than ours.
set(of_the_host "^lib(c|m|mvec|dl|rt|pthread|resolv|util|stdc[+][+]|gcc_s)[.]so" "^ld-linux" "^linux-vdso")
file(GET_RUNTIME_DEPENDENCIES
  EXECUTABLES ${BUNDLE_PROGRAM}
  LIBRARIES ${BUNDLE_LIBRARY}
  MODULES ${BUNDLE_PLUGINS}
  RESOLVED_DEPENDENCIES_VAR libraries
  UNRESOLVED_DEPENDENCIES_VAR missing
  CONFLICTING_DEPENDENCIES_PREFIX conflict
  PRE_EXCLUDE_REGEXES ${of_the_host} "^libtrainer[.]so")
if(missing)
  message(FATAL_ERROR "not found: ${missing}")
endif()
# A system's alternatives may lead the program and a library to different files; the one that the program loads itself
# comes first.
foreach(name IN LISTS conflict_FILENAMES)
  if(EXISTS ${BUNDLE_FIRST}/${name})
    list(APPEND libraries ${BUNDLE_FIRST}/${name})
  else()
    list(GET conflict_${name} 0 found)
    list(APPEND libraries ${found})
  endif()
endforeach()
list(SORT libraries)

find_program(DPKG_QUERY dpkg-query)
set(table "")
set(packages "")
foreach(library IN LISTS libraries)
  get_filename_component(name ${library} NAME)
  file(REAL_PATH ${library} file)
  file(INSTALL ${file} DESTINATION ${CMAKE_INSTALL_PREFIX}/lib TYPE PROGRAM RENAME ${name})

  # dpkg knows some files without the leading /usr.
  set(package "")
  string(REGEX REPLACE "^/usr/" "/" short ${file})
  if(DPKG_QUERY)
    execute_process(COMMAND ${DPKG_QUERY} -S ${file} ${short} OUTPUT_VARIABLE owner ERROR_QUIET)
    string(REGEX MATCH "^[^:, \n]+" package "${owner}")
  endif()
  if(NOT package)
    message(WARNING "${file} belongs to no package: the bundle lacks its licence")
    continue()
  endif()
  list(APPEND packages ${package})
  execute_process(COMMAND ${DPKG_QUERY} -W -f "\${source:Package} \${source:Version}" ${package} OUTPUT_VARIABLE source)
  string(APPEND table "lib/${name}: ${package}, from Debian's source package ${source}\n")
endforeach()

list(REMOVE_DUPLICATES packages)
foreach(package IN LISTS packages)
  file(REAL_PATH /usr/share/doc/${package}/copyright file)
  file(INSTALL ${file} DESTINATION ${CMAKE_INSTALL_PREFIX}/licences RENAME ${package})
  file(READ ${file} text)
  string(REGEX MATCHALL "/usr/share/common-licenses/[A-Za-z]+(-[0-9]([.][0-9])?)?" mentioned "${text}")
  foreach(licence IN LISTS mentioned)
    get_filename_component(name ${licence} NAME)
    if(EXISTS ${licence})
      file(REAL_PATH ${licence} file)
      file(INSTALL ${file} DESTINATION ${CMAKE_INSTALL_PREFIX}/licences/common-licenses RENAME ${name})
    endif()
  endforeach()
endforeach()
set(ours "")
foreach(plugin IN LISTS BUNDLE_PLUGINS)
  get_filename_component(name ${plugin} NAME)
  if(name MATCHES "cuda")
    string(APPEND ours "lib/${name}: ours; in it the runtime of NVIDIA's CUDA Toolkit ${CUDA_RUNTIME} (libcudart_static.a), whose licence is "
                       "https://docs.nvidia.com/cuda/eula/\n")
  endif()
endforeach()
if(table OR ours)
  file(WRITE $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/licences/LIBRARIES
    "The libraries in lib/ are Debian's, unchanged, but for the plugins. A file named after a package is its copyright file\n"
    "(/usr/share/doc/PACKAGE/copyright); the licences that it refers to (/usr/share/common-licenses) are in\n"
    "common-licenses/. Sources: https://snapshot.debian.org\n\n"
    "${table}${ours}")
endif()
