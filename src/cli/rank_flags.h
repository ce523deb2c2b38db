// The flags of commands that several processes run together, and their values.
#pragma once

#include "cli/flags.h"
#include "ranks/elastic_limits.h"
#include "ranks/launcher.h"
#include "train/rate_scaling.h"

namespace trainer {

Flag ranks_flag();
Flag elastic_flag();
Flag scale_rate_flag();

// The value of --ranks.
RanksFlag ranks_of(const Arguments& arguments);
// The value of --elastic. Throws a config_error if it is not MIN or MIN:MAX with 1 <= MIN <= MAX.
ElasticLimits elastic_limits_of(const Arguments& arguments);
// The value of --scale_rate.
RateScaling rate_scaling_of(const Arguments& arguments);

// Writes a line about the wait to stderr, because the log of other ranks than 0 is not shown.
void show_wait(const std::string& line);

}  // namespace trainer
