#include "client/array/array_file.h"

#include <array>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "client/array/csv_array.h"
#include "client/array/json_array.h"
#include "client/array/npy_array.h"

namespace attention::client {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 31;

absl::StatusOr<std::string> ReadAll(std::istream& stream) {
  std::string bytes;
  std::array<char, 1 << 16> chunk;
  while (stream.read(chunk.data(), chunk.size()) || stream.gcount() > 0) {
    bytes.append(chunk.data(), static_cast<size_t>(stream.gcount()));
    if (bytes.size() > kMaxFileBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("it is longer than ", kMaxFileBytes, " bytes"));
    }
  }
  if (stream.bad()) return absl::InvalidArgumentError("it cannot be read");
  return bytes;
}

absl::StatusOr<std::string> ReadBytes(const std::string& path, std::istream& standard_input) {
  if (path == "-") return ReadAll(standard_input);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("it cannot be opened");
  return ReadAll(file);
}

ArrayFormat Sniffed(std::string_view bytes) {
  if (LooksLikeNpy(bytes)) return ArrayFormat::kNpy;
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  const bool is_json =
      first != std::string_view::npos && (bytes[first] == '[' || bytes[first] == '{');
  return is_json ? ArrayFormat::kJson : ArrayFormat::kCsv;
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return {status.code(),
          absl::StrCat(path == "-" ? "standard input" : path, ": ", status.message())};
}

}  // namespace

absl::StatusOr<Array> ParseArray(std::string_view bytes, ArrayFormat format, int64_t max_elements) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // spreadsheets write it
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  if (format == ArrayFormat::kSniffed) format = Sniffed(bytes);
  if (format == ArrayFormat::kNpy) return ParseNpyArray(bytes, max_elements);
  absl::StatusOr<Array> array =
      format == ArrayFormat::kJson ? ParseJsonArray(bytes) : ParseCsvArray(bytes);
  if (array.ok() && std::ssize(array->numbers) > max_elements) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", array->numbers.size(), " elements, more than ", max_elements));
  }
  return array;
}

absl::StatusOr<Array> ReadArray(const std::string& path, ArrayFormat format,
                                std::istream& standard_input, int64_t max_elements) {
  const absl::StatusOr<std::string> bytes = ReadBytes(path, standard_input);
  if (!bytes.ok()) return Named(path, bytes.status());
  absl::StatusOr<Array> array = ParseArray(*bytes, format, max_elements);
  if (!array.ok()) return Named(path, array.status());
  return array;
}

}  // namespace attention::client
