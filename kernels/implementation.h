// The ways in which attention can be computed here: objects with names, and the choice between
// them.

#ifndef ATTENTION_KERNELS_IMPLEMENTATION_H_
#define ATTENTION_KERNELS_IMPLEMENTATION_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/attend.h"

namespace attention::kernels {

class Implementation {
 public:
  virtual ~Implementation() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;         // e.g. "fused-avx512"
  [[nodiscard]] virtual std::string_view description() const = 0;  // one line, for people

  // Whether the processor, as capped by UseImplementation, can run it.
  [[nodiscard]] virtual bool supported_by_runtime_system() const = 0;

  // Caps the instruction sets of every kernel at those that it is made for, if it is made for any.
  // kFailedPrecondition if they are settled otherwise.
  [[nodiscard]] virtual absl::Status CapInstructionSets() const = 0;

  // Whether it offers this problem, with any results; a validated one is expected. None turns
  // queries and keys: with `rotary` there is none that offers it, but Attend turns them first.
  [[nodiscard]] virtual bool Offers(const AttentionProblem& problem,
                                    const AttentionOptions& options) const = 0;

  // Computes a validated problem that it offers. Throws std::bad_alloc.
  [[nodiscard]] virtual absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                                            const AttentionOptions& options,
                                                            const AttentionOutputs& outputs,
                                                            const Execution& execution) const = 0;
};

// All of them, in order of preference, whether or not this machine can run them:
//   fused-amx, fused-avx512-bf16, fused-avx512, fused-avx2
//                     online softmax over oneDNN's matrix kernels for that instruction set
//   unfused-float64   every option, in float64, on any machine
[[nodiscard]] std::span<const Implementation* const> AllImplementations();

// Whether this process can use it.
[[nodiscard]] bool IsUsable(const Implementation& implementation);

// Those that this process can use, in order of preference.
[[nodiscard]] std::vector<const Implementation*> UsableImplementations();

// Forces `name` for the whole process: of the fused implementations only this one remains, and a
// fused name caps the instruction sets of every kernel, oneDNN's included; "unfused-float64" leaves
// no fused one. (A forced fused implementation leaves unfused-float64 for what no fused one
// offers.) Call it at most once, before anything is computed and before this library is asked for
// the implementations that are usable or the instruction set, which settles them. Returns
// kInvalidArgument, naming the known ones, if there is no such name; kFailedPrecondition if this
// machine cannot run it, or if instruction sets that it must cap are settled. What is refused
// leaves all implementations as usable as they were; but one that this machine cannot run settles
// the instruction sets, since oneDNN, which knows what the processor has, answers only once.
[[nodiscard]] absl::Status UseImplementation(std::string_view name);

// The instruction set that kernels dispatch to, after any cap: "avx512_amx", "avx512_bf16",
// "avx512", "avx2" or "baseline".
[[nodiscard]] std::string_view InstructionSet();

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_IMPLEMENTATION_H_
