// What `trainer convert` does: other people's files into what Data and HDF5Data layers read.
//
// Results appear whole or not at all; nothing that exists is overwritten. Errors are data_error (files) or
// config_error (a request that makes no sense).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/batch_feed.h"

namespace trainer {

// Called after each item or block of items with the items done and the items in all (0: not known), the last time
// before anything is put in its place: what it throws ends the conversion, which leaves nothing behind.
using ConvertProgress = std::function<void(int64_t done, int64_t total)>;

// Databases are of Datum records; `backend` is "lmdb" or "leveldb".
struct IdxToDatabase {
  std::string images;  // idx3 file (N,H,W) or idx4 (N,C,H,W), plain or gzipped
  std::string labels;  // idx1 file (N)
  std::string target;  // folder to be made
  std::string backend = "lmdb";
};
// Raw records, keys 00000000, 00000001, ...: what Caffe's MNIST example makes. Returns the number of records.
int64_t convert_idx(const IdxToDatabase& request, const ConvertProgress& progress = {});

struct CifarToDatabases {
  std::string source;  // folder with data_batch_1.bin ... data_batch_5.bin and test_batch.bin
  std::string target;  // folder in which cifar10_train_BACKEND and cifar10_test_BACKEND are made
  std::string backend = "lmdb";
};
// Raw records of 3x32x32 in the files' order of channels (red, green, blue), keys 00000, 00001, ...: what
// Caffe's CIFAR-10 example makes. Returns the number of records for training and testing.
std::pair<int64_t, int64_t> convert_cifar(const CifarToDatabases& request, const ConvertProgress& progress = {});

struct ImagesToDatabase {
  std::string root;    // put before each path as it is
  std::string list;    // lines `path label`
  std::string target;  // folder to be made
  std::string backend = "lmdb";
  bool gray = false;
  bool shuffle = false;                     // the lines, in the same random order each time
  bool check_size = false;                  // all pictures must have the first one's size
  bool encoded = false;                     // store image files rather than pixels
  std::string encode_type;                  // "jpg", "png"; "": as the file is; not empty implies `encoded`
  int resize_height = 0, resize_width = 0;  // both or neither
};
struct ImagesConverted {
  int64_t records = 0;
  int64_t skipped = 0;  // could not be read; each was told to `warn`
};
// What Caffe's convert_imageset makes. Keys are %08d_PATH, numbered by the line after shuffling, whether it
// could be read or not. A file is stored as it is where no resize is asked, its ending fits encode_type and it is
// not to become grey.
ImagesConverted convert_images(const ImagesToDatabase& request, const LogLine& warn,
                               const ConvertProgress& progress = {});

struct DatabaseMean {
  int64_t records = 0;
  std::vector<double> channels;  // the mean of each channel
};
// The mean image of a database, as Caffe's compute_image_mean does; `target` is the mean file to be made, ""
// for none. All items must have the first one's size.
DatabaseMean compute_mean(const std::string& database, const std::string& backend, const std::string& target,
                          const LogLine& log, const ConvertProgress& progress = {});

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
