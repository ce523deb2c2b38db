# Fails where the file ARCHIVE is larger than MOST_MIB: a machine that is lent for a check takes no more.
file(SIZE ${ARCHIVE} bytes)
math(EXPR most "${MOST_MIB} << 20")
math(EXPR mib "(${bytes} + (1 << 20) - 1) >> 20")
if(bytes GREATER most)
  message(FATAL_ERROR "${ARCHIVE} has ${mib} MiB, and ${MOST_MIB} MiB is the limit: leave out what no check needs (tools/bundle.cmake, "
                      "tools/gpu_check_stubs)")
endif()
message(STATUS "${ARCHIVE}: ${mib} MiB of at most ${MOST_MIB}")
