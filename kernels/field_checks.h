// Checks of arguments that several entry points share, and the form of their errors.

#ifndef ATTENTION_KERNELS_FIELD_CHECKS_H_
#define ATTENTION_KERNELS_FIELD_CHECKS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

[[nodiscard]] inline absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

// kInvalidArgument: "key.extents[2]: got 0, want > 0".
[[nodiscard]] absl::Status Invalid(absl::string_view field, absl::string_view got,
                                   absl::string_view want);

// "[1, 2, 3, 4]"
[[nodiscard]] std::string ShapeText(const Extents& extents);

[[nodiscard]] constexpr bool IsFloating(DataType type) { return type != DataType::kBool; }

// Whether the elements' bytes can be counted in 64 bits.
[[nodiscard]] bool FitsInMemory(const Extents& extents, DataType type);

// [batch, heads, rows, width] in the type of `whose` operand, batch and rows possibly 0, columns
// side by side.
[[nodiscard]] absl::Status CheckOperand(absl::string_view field, const TensorView& view,
                                        DataType type, absl::string_view whose = "the query");

[[nodiscard]] absl::Status CheckExtent(absl::string_view field, int64_t got, int64_t want,
                                       absl::string_view whose);

[[nodiscard]] absl::Status CheckDense(absl::string_view field, const TensorView& view,
                                      const Extents& extents, DataType type);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FIELD_CHECKS_H_
