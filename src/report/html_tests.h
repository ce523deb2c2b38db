// The last results of tests as a part of report.html.
#pragma once

#include <string>
#include <vector>

#include "trainer/events.h"

namespace trainer {

// A section for each test: its outputs, the confusion matrices as heat maps, and the tables of classes.
std::string html_tests(const std::vector<TestResult>& tests, const std::vector<std::string>& class_names);

}  // namespace trainer
