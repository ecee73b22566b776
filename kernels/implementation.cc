#include "kernels/implementation.h"

#include <array>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/fused/fused_attention.h"
#include "kernels/instruction_set.h"
#include "kernels/unfused/unfused_float64.h"

namespace attention::kernels {
namespace {

std::atomic<const Implementation*> forced = nullptr;

const Implementation* Find(std::string_view name) {
  for (const Implementation* implementation : AllImplementations()) {
    if (implementation->name() == name) return implementation;
  }
  return nullptr;
}

// Of the fused implementations only a forced one is usable; what every option needs always is.
bool AllowedByForce(const Implementation& implementation) {
  const Implementation* only = forced.load(std::memory_order_acquire);
  return only == nullptr || &implementation == only || &implementation == &UnfusedFloat64();
}

}  // namespace

std::span<const Implementation* const> AllImplementations() {
  static const std::array<const Implementation*, 5> all = {
      &FusedAmx(), &FusedAvx512Bf16(), &FusedAvx512(), &FusedAvx2(), &UnfusedFloat64()};
  return all;
}

bool IsUsable(const Implementation& implementation) {
  return AllowedByForce(implementation) && implementation.supported_by_runtime_system();
}

std::vector<const Implementation*> UsableImplementations() {
  std::vector<const Implementation*> usable;
  for (const Implementation* implementation : AllImplementations()) {
    if (IsUsable(*implementation)) usable.push_back(implementation);
  }
  return usable;
}

absl::Status UseImplementation(std::string_view name) {
  const Implementation* implementation = Find(name);
  if (implementation == nullptr) {
    const auto append_name = [](std::string* out, const Implementation* each) {
      absl::StrAppend(out, absl::string_view(each->name().data(), each->name().size()));
    };
    return absl::InvalidArgumentError(
        absl::StrCat("implementation: got ", absl::string_view(name.data(), name.size()),
                     ", want one of ", absl::StrJoin(AllImplementations(), ", ", append_name)));
  }
  if (absl::Status status = implementation->CapInstructionSets(); !status.ok()) return status;
  if (!implementation->supported_by_runtime_system()) {
    return absl::FailedPreconditionError(
        absl::StrCat("implementation: ", absl::string_view(name.data(), name.size()),
                     " needs a processor with more instructions than this one (",
                     absl::string_view(InstructionSet().data(), InstructionSet().size()), ")"));
  }
  forced.store(implementation, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace attention::kernels
