# Fails if the file ARCHIVE is larger than MOST_MIB, the limit of the machines that run gpu_check.
file(SIZE ${ARCHIVE} bytes)
math(EXPR most "${MOST_MIB} << 20")
math(EXPR mib "(${bytes} + (1 << 20) - 1) >> 20")
if(bytes GREATER most)
  message(FATAL_ERROR "${ARCHIVE} has ${mib} MiB, and ${MOST_MIB} MiB is the limit: remove files that no check needs (tools/bundle.cmake, "
                      "tools/gpu_check_stubs)")
endif()
message(STATUS "${ARCHIVE}: ${mib} MiB of at most ${MOST_MIB}")
