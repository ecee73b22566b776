// Files of tensors as safetensors lays them out, read strictly.
//
//   8 bytes   n, the size of the header: unsigned, little-endian
//   n bytes   a JSON object: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
//             ...}, padded with spaces
//   the rest  the elements, which the offsets count from here
//
// Source: the README and src/tensor.rs of github.com/huggingface/safetensors.

#ifndef ATTENTION_SERVER_LAYERS_SAFETENSORS_H_
#define ATTENTION_SERVER_LAYERS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/tensor_view.h"

namespace attention::server {

// Row-major, little-endian, at any address.
struct StoredTensor {
  std::string name = {};  // in the file
  kernels::DataType type = kernels::DataType::kF32;
  std::vector<int64_t> shape = {};
  std::span<const std::byte> bytes = {};

  [[nodiscard]] int64_t element_count() const {
    return static_cast<int64_t>(bytes.size() / kernels::ElementBytes(type));
  }
};

// By name.
using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

// The type that a file calls F32, F16, BF16 or F64; none for another name.
[[nodiscard]] std::optional<kernels::DataType> StoredType(std::string_view name);

// The tensors of a whole file, which point into it. Errors: kInvalidArgument, as part of a sentence
// that begins with the file's name. Refused is all that the format forbids:
//   - fewer than 8 bytes; a header of more than 100,000,000 bytes or longer than the file;
//   - a header that does not begin with `{`, is no JSON in valid UTF-8, or is followed by anything
//     but spaces;
//   - a tensor without dtype, shape or data_offsets; a number that is negative or not written as a
//     whole one; data_offsets that are not two, descend, leave the file or do not hold the shape's
//     elements; an extent product that overflows;
//   - elements that overlap, have holes between them or do not fill the file;
//   - `__metadata__` that is anything but an object of texts.
// And beyond that what has been used to make files that readers understand differently, or that no
// layer needs: a name given twice, at any depth; more than three objects and arrays within each
// other; anything else in a tensor's description; tensors without elements; types other than F32,
// F16, BF16 and F64; more than 8 extents; more than 1,024 tensors; names other than 1 to 256
// letters, digits and . _ / : - of ASCII.
[[nodiscard]] absl::StatusOr<StoredTensors> ParseSafetensors(std::span<const std::byte> file);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_SAFETENSORS_H_
