// Opens libraries by name.
#include "base/dynamic_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace trainer {

DynamicLibrary::DynamicLibrary(const std::vector<const char*>& names) {
  for (const char* name : names) {
    name_ = name;
    library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr) {
      problem_.clear();
      return;
    }
    const char* reason = dlerror();
    if (problem_.empty()) problem_ = reason != nullptr ? reason : name_ + " cannot be opened";
  }
}

void* DynamicLibrary::address_of(const char* symbol) const {
  return library_ == nullptr ? nullptr : dlsym(library_, symbol);
}

void DynamicLibrary::set_missing(const char* symbol) {
  if (problem_.empty()) problem_ = fmt::format("{} is too old: it has no {}", name_, symbol);
}

}  // namespace trainer
