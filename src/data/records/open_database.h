// Opens databases of Datum records by their backend.
#pragma once

#include <memory>
#include <string>

#include "data/records/record_source.h"
#include "trainer.pb.h"

namespace trainer {

// Throws the data_error or config_error of that kind of database.
std::unique_ptr<RecordSource> open_database(caffe::DataParameter::DB backend, const std::string& path,
                                            const LogLine& log);

}  // namespace trainer
