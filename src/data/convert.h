// What `trainer convert` does: other people's files into what Data and HDF5Data layers read.
//
// Results appear whole or not at all; nothing that exists is overwritten. Errors are data_error (files) or
// config_error (a request that makes no sense).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace trainer {

// Called now and then with the items done and the items in all (0: not known).
using ConvertProgress = std::function<void(int64_t done, int64_t total)>;

struct IdxToLmdb {
  std::string images;  // idx3 file (N,H,W) or idx4 (N,C,H,W), plain or gzipped
  std::string labels;  // idx1 file (N)
  std::string target;  // folder to be made
};
// Raw Datum records, keys 00000000, 00000001, ...: what Caffe's MNIST example makes. Returns the number of
// records.
int64_t convert_idx_to_lmdb(const IdxToLmdb& request, const ConvertProgress& progress = {});

// One dataset of the HDF5 file.
struct ArrayInput {
  std::string dataset;  // its name: the name of the top that will read it
  std::string path;     // .npy file, or a table of numbers (.csv, .txt: commas; .tsv: tabs)
  // Tables only: names from the header line or numbers from 0; empty: all columns. One column makes rows
  // without an axis (a label), several make rows of that length.
  std::vector<std::string> columns;
  // Extents of a row, if others than the file's: {1, 28, 28} for 784 columns.
  std::vector<int64_t> row_shape;
};
struct ArraysToHdf5 {
  std::vector<ArrayInput> inputs;  // equal numbers of rows
  std::string target;              // HDF5 file to be made
  std::string list;                // text file that names it, for hdf5_data_param.source; "": target + ".txt"
};
// Float32 datasets, written by slabs. Returns the number of rows.
int64_t convert_arrays_to_hdf5(const ArraysToHdf5& request, const ConvertProgress& progress = {});

}  // namespace trainer
