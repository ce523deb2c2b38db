// A library of NVIDIA's driver, opened by name at run time: neither the build nor the program needs it.
#pragma once

#include <string>

namespace trainer {

class DynamicLibrary {
 public:
  // Does not close the library on destruction: the driver keeps threads.
  explicit DynamicLibrary(const char* name);

  // Why the library cannot be used: it is missing or lacks a required function; or "".
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
