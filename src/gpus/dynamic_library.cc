// Libraries of NVIDIA's driver, opened by name.
#include "gpus/dynamic_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace trainer {

DynamicLibrary::DynamicLibrary(const char* name) : name_(name), library_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ != nullptr) return;
  const char* reason = dlerror();
  problem_ = reason != nullptr ? reason : name_ + " cannot be opened";
}

void* DynamicLibrary::address_of(const char* symbol) const {
  return library_ == nullptr ? nullptr : dlsym(library_, symbol);
}

void DynamicLibrary::set_missing(const char* symbol) {
  if (problem_.empty()) problem_ = fmt::format("{} is too old: it has no {}", name_, symbol);
}

}  // namespace trainer
