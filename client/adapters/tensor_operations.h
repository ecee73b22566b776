// What adapters do to tensors before they are sent and after they come back. Pure; numbers keep
// their bits unless it is said otherwise.

#ifndef ATTENTION_CLIENT_ADAPTERS_TENSOR_OPERATIONS_H_
#define ATTENTION_CLIENT_ADAPTERS_TENSOR_OPERATIONS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>

#include "absl/status/statusor.h"
#include "client/tensor.h"

namespace attention::client {

// A request, and the tensors made for it. Others it borrows from the caller. Can be moved; a copy
// would borrow from the original's tensors.
template <typename Request>
struct AdaptedRequest {
  AdaptedRequest() = default;
  AdaptedRequest(AdaptedRequest&&) = default;
  AdaptedRequest& operator=(AdaptedRequest&&) = default;

  Request request = {};
  std::list<TensorValue> tensors = {};

  TensorRef Keep(TensorValue tensor) {
    tensors.push_back(std::move(tensor));
    return tensors.back().ref();
  }
};

// The same elements under another shape, borrowed. Requires equal element counts.
[[nodiscard]] TensorRef Reshaped(const TensorRef& tensor, Shape shape);

// `count` entries of the first axis, borrowed. Requires that there are so many.
[[nodiscard]] TensorRef Slice(const TensorRef& tensor, int64_t first, int64_t count);

// The first two axes exchanged. Requires two or more.
[[nodiscard]] TensorValue Transposed(const TensorRef& tensor);

// One more entry at the end of the last axis, of zero bytes: 0 or false.
[[nodiscard]] TensorValue WithOneMoreColumn(const TensorRef& tensor);

// 0 for 1 and 1 for 0. Requires a kBool.
[[nodiscard]] TensorValue Inverted(const TensorRef& tensor);

// -infinity for 1 and 0 for 0, in `type`. Requires a kBool.
[[nodiscard]] TensorValue InfiniteWhere(const TensorRef& hidden, DataType type);

// Element by element, with NumPy's broadcasting. Results have the type of the first.
// INVALID_ARGUMENT if the shapes do not broadcast. Both of And are kBool; sums are made in float64
// and rounded once.
[[nodiscard]] absl::StatusOr<TensorValue> And(const TensorRef& first, const TensorRef& second);
[[nodiscard]] absl::StatusOr<TensorValue> Sum(const TensorRef& first, const TensorRef& second);

// Zeros instead of each row of the last axis whose entry in `kept` is 0. Requires a kBool as long
// as there are rows.
[[nodiscard]] TensorValue ZeroedRows(const TensorRef& tensor, const TensorRef& kept);

// The elements widened.
[[nodiscard]] std::vector<double> ToDoubles(const TensorRef& tensor);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_TENSOR_OPERATIONS_H_
