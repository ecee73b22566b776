// The main function of test programs that run once for each implementation of the kernels.
//
// ATTENTION_IMPLEMENTATION names the one to force. Where the machine cannot run it, every test is
// skipped with a message; an unknown name fails.

#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/implementation.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* name = std::getenv("ATTENTION_IMPLEMENTATION");
  if (name != nullptr && *name != '\0') {
    const absl::Status status = attention::kernels::UseImplementation(name);
    if (absl::IsFailedPrecondition(status)) {
      // In GoogleTest's own words, by which CTest knows a skipped test.
      std::printf("[  SKIPPED ] %s\n", status.ToString().c_str());
      return 0;
    }
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
  }
  return RUN_ALL_TESTS();
}
