// `trainer convert`: converts common file formats to files that Data and HDF5Data layers read.
//
// A target appears complete or not at all; no existing file is overwritten unless a request says so. Errors are
// data_error (files) or config_error (invalid requests).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/batch_feed.h"
#include "data/feeds/image_list.h"

namespace trainer {

// Called after each item or block of items with the number of items done and the total (0: unknown). The last call is
// before the target appears. An exception that it throws ends the conversion, which then leaves no files.
using ConvertProgress = std::function<void(int64_t done, int64_t total)>;

// Databases hold Datum records; `backend` is "lmdb" or "leveldb".
struct IdxToDatabase {
  std::string images;  // idx3 file (N,H,W) or idx4 (N,C,H,W), plain or gzipped
  std::string labels;  // idx1 file (N)
  std::string target;  // folder to create
  std::string backend = "lmdb";
};
// Writes raw records with keys 00000000, 00000001, ..., as Caffe's MNIST example does. Returns the number of records.
int64_t convert_idx(const IdxToDatabase& request, const ConvertProgress& progress = {});

struct CifarToDatabases {
  std::string source;  // folder with data_batch_1.bin ... data_batch_5.bin and test_batch.bin
  std::string target;  // folder in which cifar10_train_BACKEND and cifar10_test_BACKEND are created
  std::string backend = "lmdb";
};
// Writes raw records of 3x32x32 in the files' channel order (red, green, blue) with keys 00000, 00001, ..., as Caffe's
// CIFAR-10 example does. Returns the number of records for training and testing.
std::pair<int64_t, int64_t> convert_cifar(const CifarToDatabases& request, const ConvertProgress& progress = {});

struct ImagesToDatabase {
  std::string root;    // prefix of each path, unchanged
  std::string list;    // lines `path label`
  std::string target;  // folder to create
  std::string backend = "lmdb";
  bool gray = false;
  bool shuffle = false;                     // the lines, always in the same random order
  bool check_size = false;                  // all pictures must have the size of the first one
  bool encoded = false;                     // store image files rather than pixels
  std::string encode_type;                  // "jpg", "png"; "": as the file is; not empty implies `encoded`
  int resize_height = 0, resize_width = 0;  // both or neither
};
struct ImagesConverted {
  int64_t records = 0;
  int64_t skipped = 0;  // could not be read
};
// Writes the database that Caffe's convert_imageset writes. Keys are %08d_PATH, with the number of the line after
// shuffling; unreadable pictures are numbered too. A file is stored unchanged if no resize is requested, its extension
// fits encode_type and it is not converted to grey. Each unreadable picture is reported to `warn`.
ImagesConverted convert_images(const ImagesToDatabase& request, const LogLine& warn,
                               const ConvertProgress& progress = {});

// Images of a folder or list for a Data or HDF5Data layer.
struct ImagesToTarget {
  std::string source;
  std::string target;   // an HDF5 file if it ends in .h5, otherwise the folder of an LMDB database
  bool folder = false;  // `source` has a folder for each class; otherwise it is a list
  std::string labels;   // as ImageData
  double validation_fraction = 0;
  bool validation = false;  // the part, if validation_fraction is above 0
  std::string root;
  LabelKind label_kind = caffe::ImageDataParameter::CLASS;

  bool gray = false;
  bool shuffle = false;         // as ImagesToDatabase
  bool check_size = false;      // as ImagesToDatabase; HDF5 always checks
  std::optional<bool> encoded;  // whether a database has image files; unset: unless they are resized or turned gray
  std::string encode_type;      // of converted image files; "": png
  int resize_height = 0, resize_width = 0;  // both or neither
  bool skip_bad_records = false;
  int shards = 1;    // HDF5 files
  std::string list;  // as ArraysToHdf5
  bool resume = false, overwrite = false;
  int workers = 0;  // 0: one for each core
  uint64_t images_per_save = 1000;
};
// The result does not depend on the number of workers. A conversion that fails or is interrupted after it saved images
// leaves TARGET.part, and `resume` continues it; the result is that of an uninterrupted one.
//
// Databases have the keys of convert_images. A file is stored unchanged if a Data layer decodes it to the pixels that
// ImageData reads: in 3 channels (1 if `gray`) and upright.
ImagesConverted convert_images_to_target(const ImagesToTarget& request, const LogLine& note, const LogLine& warn,
                                         const ConvertProgress& progress = {});

struct DatabaseMean {
  int64_t records = 0;
  std::vector<double> channels;  // the mean of each channel
};
// The mean image of a database, as Caffe's compute_image_mean computes it. `target` is the mean file to create; ""
// creates none. All items must have the size of the first one.
DatabaseMean compute_mean(const std::string& database, const std::string& backend, const std::string& target,
                          const LogLine& log, const ConvertProgress& progress = {});

// One dataset of the HDF5 file.
struct ArrayInput {
  std::string dataset;  // name of the dataset and of the top that reads it
  std::string path;     // .npy file, or a table of numbers (.csv, .txt: commas; .tsv: tabs)
  // Tables only: column names from the header line, or numbers from 0; empty: all columns. One column makes rows
  // without an axis (a label); several make rows of that length.
  std::vector<std::string> columns;
  // Extents of a row if they differ from those of the file: {1, 28, 28} for 784 columns.
  std::vector<int64_t> row_shape;
};
struct ArraysToHdf5 {
  std::vector<ArrayInput> inputs;  // equal numbers of rows
  std::string target;              // HDF5 file to create
  std::string list;                // text file that names it, for hdf5_data_param.source; "": target + ".txt"
};
// Writes float32 datasets in slabs. Returns the number of rows.
int64_t convert_arrays_to_hdf5(const ArraysToHdf5& request, const ConvertProgress& progress = {});

}  // namespace trainer
