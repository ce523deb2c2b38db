// Adds a dataset of floats whose values are a hole in the file: they take no disk space and read as zeros.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "formats/hdf5_library.h"

namespace trainer {

inline void add_sparse_dataset(const std::string& path, const std::string& name, const Shape& shape) {
  const Hdf5Call call;
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  const Hdf5Handle groups(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(groups, 1);
  const Hdf5Handle space(H5Screate_simple(shape.rank(), extents_of(shape).data(), nullptr), H5Sclose);
  const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  const Hdf5Handle dataset(H5Dcreate2(file, name.c_str(), H5T_NATIVE_FLOAT, space, groups, creation, H5P_DEFAULT),
                           H5Dclose);
  ASSERT_GE(dataset, 0) << hdf5_reason();
}

}  // namespace trainer
