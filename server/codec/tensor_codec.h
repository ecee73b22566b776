// Tensors of a request: checked against their own shape, and read in place where that is possible.

#ifndef ATTENTION_SERVER_CODEC_TENSOR_CODEC_H_
#define ATTENTION_SERVER_CODEC_TENSOR_CODEC_H_

#include <google/protobuf/message.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/tensor.pb.h"
#include "kernels/tensor_view.h"
#include "server/core/buffer.h"
#include "server/core/protocol_limits.h"

namespace attention::server {

// A tensor whose contents agree with its shape.
struct WireTensor {
  v1::DataType type = v1::DATA_TYPE_F32;     // never UNSPECIFIED
  int rank = 0;                              // 1 to 4
  std::array<int64_t, kMaxRank> shape = {};  // the first `rank` count
  int64_t element_count = 0;

  // Dense, aligned to an element's size; not null even without elements.
  const void* data = nullptr;
};

// Bytes that reading the tensors of `message` needs for `floats` that are to be another type. May
// throw std::bad_alloc.
[[nodiscard]] int64_t ConvertedBytes(const google::protobuf::Message& message);

// Reads the tensors of one request. The data it returns points into the messages, or into `storage`
// where elements had to be converted or moved to an aligned address. Thread safety: as any value's.
class TensorReader {
 public:
  // `storage` must outlive the tensors' use. Moving it keeps them valid.
  explicit TensorReader(std::vector<Buffer>& storage) : storage_(storage) {}

  // Errors: those of Tensor in tensor.proto, kInvalidArgument, with `path` in front. Checks every
  // size before it allocates. May throw std::bad_alloc.
  [[nodiscard]] absl::StatusOr<WireTensor> Read(const v1::Tensor& tensor, absl::string_view path);

  // Memory for `count` numbers that lives as long as the tensors read. May throw std::bad_alloc.
  template <typename Number>
  [[nodiscard]] std::span<Number> NewNumbers(int64_t count) {
    Buffer buffer(static_cast<size_t>(count) * sizeof(Number));
    auto* const numbers = static_cast<Number*>(buffer.data());
    storage_.push_back(std::move(buffer));
    return {numbers, static_cast<size_t>(count)};
  }

  // Whether the tensors read so far that had elements all used `floats`, and there was one.
  [[nodiscard]] bool floats_only() const { return floats_seen_ && !raw_seen_; }

 private:
  [[nodiscard]] absl::Status ReadRaw(const v1::Tensor& tensor, absl::string_view path,
                                     WireTensor& result);
  [[nodiscard]] absl::Status ReadFloats(const v1::Tensor& tensor, absl::string_view path,
                                        WireTensor& result);

  std::vector<Buffer>& storage_;
  bool floats_seen_ = false;
  bool raw_seen_ = false;
};

// The kernels' name for a wire type; nothing for the types of lengths.
[[nodiscard]] std::optional<kernels::DataType> KernelType(v1::DataType type);
[[nodiscard]] v1::DataType WireType(kernels::DataType type);

// F32, F16, BF16 and F64.
[[nodiscard]] bool IsFloatingPoint(v1::DataType type);

// "DATA_TYPE_F32" ...
[[nodiscard]] const std::string& TypeName(v1::DataType type);

// "[2, 3, 4]"
[[nodiscard]] std::string ShapeText(const WireTensor& tensor);

// `bytes` if it is a multiple of `alignment_bytes`, otherwise a copy that is, kept in `storage`.
[[nodiscard]] const void* AlignedOrCopied(const void* bytes, size_t byte_count,
                                          size_t alignment_bytes, std::vector<Buffer>& storage);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_TENSOR_CODEC_H_
