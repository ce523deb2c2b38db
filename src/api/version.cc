// The versions of the library and of its C interface.
#include "trainer/trainer.h"
#include "trainer/trainer_c.h"

namespace trainer {

const char* version() { return TRAINER_VERSION; }

}  // namespace trainer

int trainer_api_version(void) { return TRAINER_API_VERSION; }
const char* trainer_version(void) { return TRAINER_VERSION; }
