// An HDF5 file driver that records write errors instead of returning them.
#include "formats/hdf5_write_driver.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace trainer {
namespace {

constexpr haddr_t kLargestAddress = haddr_t{1} << 62;

// The library accesses only the first member.
struct DriverFile {
  H5FD_t library_part;
  int descriptor;
  haddr_t end_of_addresses;
  haddr_t end_of_file;
  Hdf5WriteFault* fault;
};

struct DriverSettings {
  Hdf5WriteFault* fault;
};

DriverFile* driver_file(H5FD_t* file) { return reinterpret_cast<DriverFile*>(file); }
const DriverFile* driver_file(const H5FD_t* file) { return reinterpret_cast<const DriverFile*>(file); }

H5FD_t* open_file(const char* name, unsigned flags, hid_t access, haddr_t) {
  const auto* settings = static_cast<const DriverSettings*>(H5Pget_driver_info(access));
  if (settings == nullptr) return nullptr;
  int mode = O_CLOEXEC | ((flags & H5F_ACC_RDWR) != 0 ? O_RDWR : O_RDONLY);
  if ((flags & H5F_ACC_TRUNC) != 0) mode |= O_TRUNC;
  if ((flags & H5F_ACC_CREAT) != 0) mode |= O_CREAT;
  if ((flags & H5F_ACC_EXCL) != 0) mode |= O_EXCL;
  const int descriptor = ::open(name, mode, 0666);
  if (descriptor < 0) return nullptr;
  const off_t size = ::lseek(descriptor, 0, SEEK_END);
  auto* file = new DriverFile{};
  file->descriptor = descriptor;
  file->end_of_file = size > 0 ? static_cast<haddr_t>(size) : 0;
  file->fault = settings->fault;
  return &file->library_part;
}

herr_t close_file(H5FD_t* handle) {
  DriverFile* file = driver_file(handle);
  if (::close(file->descriptor) != 0 && errno != EINTR && file->fault->error == 0) file->fault->error = errno;
  delete file;
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* features) {
  if (features != nullptr) {
    *features = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
                H5FD_FEAT_AGGREGATE_SMALLDATA;
  }
  return 0;
}

haddr_t end_of_addresses(const H5FD_t* handle, H5FD_mem_t) { return driver_file(handle)->end_of_addresses; }

herr_t set_end_of_addresses(H5FD_t* handle, H5FD_mem_t, haddr_t address) {
  driver_file(handle)->end_of_addresses = address;
  return 0;
}

haddr_t end_of_file(const H5FD_t* handle, H5FD_mem_t) { return driver_file(handle)->end_of_file; }

// Bytes that were never written read as zero.
herr_t read(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, size_t count, void* buffer) {
  const DriverFile* file = driver_file(handle);
  char* to = static_cast<char*>(buffer);
  while (count > 0) {
    const ssize_t got =
        ::pread(file->descriptor, to, std::min<size_t>(count, size_t{1} << 30), static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) {
      std::memset(to, 0, count);
      return 0;
    }
    to += got;
    address += static_cast<haddr_t>(got);
    count -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t address, size_t count, const void* buffer) {
  DriverFile* file = driver_file(handle);
  const char* from = static_cast<const char*>(buffer);
  file->end_of_file = std::max(file->end_of_file, address + count);
  while (count > 0 && file->fault->error == 0) {
    const ssize_t put =
        ::pwrite(file->descriptor, from, std::min<size_t>(count, size_t{1} << 30), static_cast<off_t>(address));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      file->fault->error = put < 0 ? errno : ENOSPC;
      break;
    }
    from += put;
    address += static_cast<haddr_t>(put);
    count -= static_cast<size_t>(put);
  }
  return 0;
}

herr_t truncate(H5FD_t* handle, hid_t, hbool_t) {
  DriverFile* file = driver_file(handle);
  if (file->end_of_addresses != file->end_of_file && file->fault->error == 0 &&
      ::ftruncate(file->descriptor, static_cast<off_t>(file->end_of_addresses)) != 0) {
    file->fault->error = errno;
  }
  file->end_of_file = file->end_of_addresses;
  return 0;
}

hid_t register_driver() {
  H5FD_class_t driver{};
#ifdef H5FD_CLASS_VERSION
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(H5_VFD_RESERVED + 77);
#endif
  driver.name = "trainer_write";
  driver.maxaddr = kLargestAddress;
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.fapl_size = sizeof(DriverSettings);
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query;
  driver.get_eoa = end_of_addresses;
  driver.set_eoa = set_end_of_addresses;
  driver.get_eof = end_of_file;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  const H5FD_mem_t map[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), std::begin(driver.fl_map));
  return H5FDregister(&driver);
}

}  // namespace

void set_write_driver(hid_t access_properties, Hdf5WriteFault* fault) {
  static const hid_t driver = register_driver();
  const DriverSettings settings{fault};
  H5Pset_driver(access_properties, driver, &settings);
}

}  // namespace trainer
