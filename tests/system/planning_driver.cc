// Stands in for NVIDIA's driver (libcuda.so.1) where plans are made and never run: cuDNN 9.19 lists its
// engines of generated code only where it finds a driver with these functions. It sees no GPU.
//
// The parameters that a function does not look at are left out; callers pass them all the same.

#define PUBLIC extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kNoDevice = 100, kVersion = 13000;
char anything;  // what handles point to

}  // namespace

PUBLIC int cuInit() { return kNoDevice; }
PUBLIC int cuDriverGetVersion(int* version) { return *version = kVersion, 0; }
PUBLIC int cuDeviceGetCount(int* count) { return *count = 0, 0; }

#define GIVES_A_HANDLE(name) \
  PUBLIC int name(void** handle) { return *handle = &anything, 0; }
GIVES_A_HANDLE(cuLibraryGetKernel)
GIVES_A_HANDLE(cuLibraryLoadData)
GIVES_A_HANDLE(cuLibraryLoadFromFile)

#define DOES_NOTHING(name) \
  PUBLIC int name() { return 0; }
DOES_NOTHING(cuCtxGetCurrent)
DOES_NOTHING(cuCtxGetLimit)
DOES_NOTHING(cuCtxPopCurrent)
DOES_NOTHING(cuCtxPushCurrent)
DOES_NOTHING(cuDeviceGet)
DOES_NOTHING(cuGetErrorName)
DOES_NOTHING(cuGetErrorString)
DOES_NOTHING(cuKernelGetAttribute)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuLaunchCooperativeKernel)
DOES_NOTHING(cuLaunchKernel)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuLinkAddData)
DOES_NOTHING(cuLinkComplete)
DOES_NOTHING(cuLinkCreate)
DOES_NOTHING(cuLinkDestroy)
DOES_NOTHING(cuStreamGetCtx)
