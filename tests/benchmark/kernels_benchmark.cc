// kernels_benchmark [--implementation=NAME] [--benchmark_...]: times the kernels.
//
// NAME forces one implementation, as does the environment variable ATTENTION_IMPLEMENTATION;
// without either the machine chooses. Each row's result is verified once before it is timed. The
// exit code is 0 if all rows are right, 1 if not, or if there are none of the wanted names, and 2
// for a bad argument. Where the machine cannot run the forced implementation, nothing is timed.
// docs/performance.md explains the columns.

#include <cpuid.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "benchmark/benchmark.h"
#include "kernels/implementation.h"
#include "tests/benchmark/attention_benchmark.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/projection_benchmark.h"

namespace {

constexpr std::string_view kImplementationFlag = "--implementation=";

// The implementation to force, or an empty name. Removes the flag from the arguments.
std::string_view TakeImplementationName(int* argc, char** argv) {
  const char* variable = std::getenv("ATTENTION_IMPLEMENTATION");
  std::string_view name = variable == nullptr ? "" : variable;
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kImplementationFlag)) {
      name = argument.substr(kImplementationFlag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  return name;
}

// As the processor calls itself, or an empty text.
std::string ProcessorName() {
  std::array<unsigned, 12> registers = {};
  for (unsigned part = 0; part < 3; ++part) {
    unsigned* into = &registers[4 * part];
    constexpr unsigned kFirstPartOfName = 0x80000002;
    if (!__get_cpuid(kFirstPartOfName + part, &into[0], &into[1], &into[2], &into[3])) return "";
  }
  std::array<char, sizeof(registers) + 1> name = {};
  std::memcpy(name.data(), registers.data(), sizeof(registers));
  return name.data();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = TakeImplementationName(&argc, argv);
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (!name.empty()) {
    const absl::Status status = attention::kernels::UseImplementation(name);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return absl::IsFailedPrecondition(status) ? 0 : 2;
    }
  }
  ::benchmark::AddCustomContext("processor", ProcessorName());
  ::benchmark::AddCustomContext("instruction_set",
                                std::string(attention::kernels::InstructionSet()));
  attention::benchmark::RegisterAttentionBenchmarks();
  attention::benchmark::RegisterProjectionBenchmarks();
  const size_t row_count = ::benchmark::RunSpecifiedBenchmarks();
  ::benchmark::Shutdown();
  return row_count > 0 && attention::benchmark::FailureCount() == 0 ? 0 : 1;
}
