// A library that is opened by name at run time: neither the build nor the program needs it.
#pragma once

#include <string>
#include <vector>

namespace trainer {

class DynamicLibrary {
 public:
  // Opens the first of the names that is found. Does not close the library on destruction: it may have threads.
  explicit DynamicLibrary(const std::vector<const char*>& names);

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
