// The main function of test programs that run once for each implementation of the kernels.
//
// ATTENTION_IMPLEMENTATION names the one to force. Where the machine cannot run it, every test is
// skipped with a message; an unknown name fails.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/implementation.h"

namespace {

class SkipAll final : public testing::Environment {
 public:
  explicit SkipAll(std::string reason) : reason_(std::move(reason)) {}
  void SetUp() override { GTEST_SKIP() << reason_; }

 private:
  const std::string reason_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* name = std::getenv("ATTENTION_IMPLEMENTATION");
  if (name != nullptr && *name != '\0') {
    const absl::Status status = attention::kernels::UseImplementation(name);
    if (absl::IsFailedPrecondition(status)) {
      testing::AddGlobalTestEnvironment(new SkipAll(status.ToString()));
    } else if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
  }
  return RUN_ALL_TESTS();
}
