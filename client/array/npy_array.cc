#include "client/array/npy_array.h"

#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/array/npy_header.h"

namespace attention::client {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kPreambleAlignment = 64;  // the data starts at a multiple of it

// NumPy itself writes headers of about a hundred bytes and asks before reading one over 10,000.
constexpr size_t kMaxHeaderBytes = 10'000;

absl::Status Error(absl::string_view problem) { return absl::InvalidArgumentError(problem); }

// The element types of both directions, once.
struct Descr {
  std::string_view descr;
  DataType type;
};
constexpr Descr kDescrs[] = {
    {"<f4", DataType::kF32},  {"<f8", DataType::kF64},   {"<f2", DataType::kF16},
    {"|b1", DataType::kBool}, {"<i4", DataType::kInt32}, {"<i8", DataType::kInt64},
};

absl::StatusOr<DataType> TypeOf(std::string_view descr) {
  for (const Descr& known : kDescrs) {
    if (known.descr == descr) return known.type;
  }
  return Error("the .npy element type is none of <f2, <f4, <f8, |b1, <i4, <i8 (little-endian)");
}

size_t LittleEndian(std::string_view bytes) {
  size_t number = 0;
  for (size_t i = bytes.size(); i-- > 0;) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

struct Parts {
  std::string_view header;
  std::string_view data;
};

absl::StatusOr<Parts> Split(std::string_view bytes) {
  if (!LooksLikeNpy(bytes)) return Error("it does not start like a .npy file");
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() < 2) return Error("the .npy file ends within its header");
  const int major = static_cast<uint8_t>(bytes[0]);
  if (major < 1 || major > 3 || bytes[1] != 0)
    return Error("the .npy version is none of 1.0, 2.0, 3.0");
  bytes.remove_prefix(2);
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < length_bytes) return Error("the .npy file ends within its header");
  const size_t header_bytes = LittleEndian(bytes.substr(0, length_bytes));
  bytes.remove_prefix(length_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    return Error(
        absl::StrCat("the .npy header has ", header_bytes, " bytes, more than ", kMaxHeaderBytes));
  }
  if (header_bytes > bytes.size()) return Error("the .npy file ends within its header");
  return Parts{.header = bytes.substr(0, header_bytes), .data = bytes.substr(header_bytes)};
}

// The numbers of this shape whose first index varies fastest, as those whose last does.
std::vector<double> RowMajor(const Shape& shape, std::span<const double> column_major) {
  std::vector<double> numbers;
  numbers.reserve(column_major.size());
  Shape indices(shape.size(), 0);
  int64_t position = 0;  // of `indices` in column_major
  while (numbers.size() < column_major.size()) {
    numbers.push_back(column_major[static_cast<size_t>(position)]);
    auto stride = static_cast<int64_t>(column_major.size());
    for (size_t axis = shape.size(); axis-- > 0;) {
      stride /= shape[axis];
      position += stride;
      if (++indices[axis] < shape[axis]) break;
      position -= stride * shape[axis];
      indices[axis] = 0;
    }
  }
  return numbers;
}

}  // namespace

bool LooksLikeNpy(std::string_view bytes) { return bytes.starts_with(kMagic); }

absl::StatusOr<Array> ParseNpyArray(std::string_view bytes, int64_t max_element_count) {
  const absl::StatusOr<Parts> parts = Split(bytes);
  if (!parts.ok()) return parts.status();
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(parts->header);
  if (!header.ok()) return header.status();
  if (header->shape.empty()) return Error("the .npy file holds a single number, not an array");
  const absl::StatusOr<DataType> type = TypeOf(header->descr);
  if (!type.ok()) return type.status();
  const absl::StatusOr<int64_t> element_count = ElementCount(header->shape);
  if (!element_count.ok()) return element_count.status();
  if (*element_count > max_element_count) {
    return Error(absl::StrCat("the .npy file has ", *element_count, " elements, more than ",
                              max_element_count));
  }
  const absl::StatusOr<TensorValue> tensor =
      TensorValue::Create(*type, std::move(header->shape), std::string(parts->data));
  if (!tensor.ok()) return tensor.status();
  Array array{.shape = tensor->shape(), .numbers = tensor->ToDoubles()};
  if (*type == DataType::kInt64) {
    for (const double number : array.numbers) {
      if (std::abs(number) > 0x1p53) return Error("the .npy file holds an integer beyond 2^53");
    }
  }
  if (header->fortran_order) array.numbers = RowMajor(array.shape, array.numbers);
  return array;
}

std::string ToNpy(const TensorValue& tensor) {
  if (tensor.type() == DataType::kBF16) {
    const absl::StatusOr<TensorValue> widened =
        TensorValue::FromDoubles(DataType::kF32, tensor.shape(), tensor.ToDoubles());
    return ToNpy(*widened);
  }
  std::string_view descr;
  for (const Descr& known : kDescrs) {
    if (known.type == tensor.type()) descr = known.descr;
  }
  std::string shape;
  for (const int64_t extent : tensor.shape()) absl::StrAppend(&shape, extent, ", ");
  std::string header = absl::StrCat("{'descr': '", absl::string_view(descr.data(), descr.size()),
                                    "', 'fortran_order': False, 'shape': (", shape, "), }");
  const size_t unpadded = kMagic.size() + 2 + 2 + header.size() + 1;
  header.append((kPreambleAlignment - unpadded % kPreambleAlignment) % kPreambleAlignment, ' ');
  header.push_back('\n');
  std::string file(kMagic);
  file.append({'\x01', '\x00', static_cast<char>(header.size() & 0xff),
               static_cast<char>(header.size() >> 8)});
  file += header;
  file += tensor.ref().chars();
  return file;
}

}  // namespace attention::client
