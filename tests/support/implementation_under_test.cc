#include "tests/support/implementation_under_test.h"

#include <cstdlib>
#include <string_view>

namespace attention::test {

const kernels::Implementation* ForcedImplementation() {
  const char* name = std::getenv("ATTENTION_IMPLEMENTATION");
  if (name == nullptr) return nullptr;
  for (const kernels::Implementation* implementation : kernels::AllImplementations()) {
    if (implementation->name() == std::string_view(name)) return implementation;
  }
  return nullptr;
}

bool ForcedToFloat64() {
  const kernels::Implementation* forced = ForcedImplementation();
  return forced != nullptr && forced->name() == "unfused-float64";
}

bool ForcedToFused() { return ForcedImplementation() != nullptr && !ForcedToFloat64(); }

}  // namespace attention::test
