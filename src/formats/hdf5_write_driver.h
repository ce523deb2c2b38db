// The file driver for writing HDF5 files. It never reports a failed write to the library.
//
// After a failed flush, HDF5 1.10 crashes when it closes the file, at the latest at process exit. So this driver
// records the first error number for the caller, drops all later writes and reports success to the library; the caller
// checks the error after each call and throws, and the file closes cleanly.
#pragma once

#include <hdf5.h>

namespace trainer {

struct Hdf5WriteFault {
  int error = 0;  // errno of the first write that failed, or 0
};

// Sets the driver in a file access property list. `fault` must outlive the file. The caller holds the library's lock.
void set_write_driver(hid_t access_properties, Hdf5WriteFault* fault);

}  // namespace trainer
