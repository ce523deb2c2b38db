// A library of NVIDIA's driver, opened by name where it is there: the program is built without it and does
// not need it.
#pragma once

#include <string>

namespace trainer {

class DynamicLibrary {
 public:
  // Never closed: the driver keeps threads of its own.
  explicit DynamicLibrary(const char* name);

  // Why it cannot be used: it is not there, or lacks a function that was asked for; "" where it can.
  const std::string& problem() const { return problem_; }
  bool found() const { return library_ != nullptr; }

 protected:
  template <typename Function>
  void find(Function& function, const char* symbol) {
    find_optional(function, symbol);
    if (function == nullptr) set_missing(symbol);
  }
  template <typename Function>
  void find_optional(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(address_of(symbol));
  }

 private:
  void* address_of(const char* symbol) const;
  void set_missing(const char* symbol);

  std::string name_, problem_;
  void* library_ = nullptr;
};

}  // namespace trainer
