#include "client/array/npy_header.h"

#include <charconv>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/array/array.h"

namespace attention::client {
namespace {

// A cursor over the header's text. Each method consumes what it names, with the blanks before it,
// or fails.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool Take(std::string_view token) {
    SkipBlanks();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  // A string without escapes, in single or double quotes.
  std::optional<std::string> TakeString() {
    SkipBlanks();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<bool> TakeBool() {
    if (Take("True")) return true;
    if (Take("False")) return false;
    return std::nullopt;
  }

  // A tuple of non-negative integers: "()", "(3,)", "(2, 3)".
  std::optional<Shape> TakeShape() {
    constexpr int64_t kMaxExtent = int64_t{1} << 62;
    if (!Take("(")) return std::nullopt;
    Shape shape;
    while (!Take(")")) {
      int64_t extent = -1;
      SkipBlanks();
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc() || extent < 0 || extent > kMaxExtent || shape.size() == kMaxAxes)
        return std::nullopt;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      shape.push_back(extent);
      const bool comma = Take(",");
      if (comma) continue;
      // One number in parentheses is no tuple without its comma.
      if (shape.size() == 1 || !Take(")")) return std::nullopt;
      break;
    }
    return shape;
  }

  bool AtEnd() {
    SkipBlanks();
    return rest_.empty();
  }

 private:
  void SkipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t'))
      rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

absl::Status Error(absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("the .npy header ", problem));
}

// What of the dictionary has been seen.
struct Entries {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// One "key: value".
absl::Status TakeEntry(Cursor* cursor, Entries* entries) {
  const std::optional<std::string> key = cursor->TakeString();
  if (!key || !cursor->Take(":")) return Error("is not a dictionary");
  if (*key == "descr" && !entries->descr) {
    entries->descr = cursor->TakeString();
    return entries->descr ? absl::OkStatus()
                          : Error("has a descr that is not a string: structured types are refused");
  }
  if (*key == "fortran_order" && !entries->fortran_order) {
    entries->fortran_order = cursor->TakeBool();
    return entries->fortran_order ? absl::OkStatus()
                                  : Error("has a fortran_order that is neither True nor False");
  }
  if (*key == "shape" && !entries->shape) {
    entries->shape = cursor->TakeShape();
    return entries->shape ? absl::OkStatus()
                          : Error(absl::StrCat("has a shape that is not a tuple of at most ",
                                               kMaxAxes, " extents"));
  }
  return Error("has an unknown or repeated key");
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text) {
  Cursor cursor(text);
  Entries entries;
  if (!cursor.Take("{")) return Error("is not a dictionary");
  while (!cursor.Take("}")) {
    if (absl::Status status = TakeEntry(&cursor, &entries); !status.ok()) return status;
    if (cursor.Take(",")) continue;
    if (!cursor.Take("}")) return Error("is not a dictionary");
    break;
  }
  if (!cursor.AtEnd()) return Error("goes on after its dictionary");
  if (!entries.descr || !entries.fortran_order || !entries.shape) return Error("lacks a key");
  return NpyHeader{
      .descr = *std::move(entries.descr),
      .fortran_order = *entries.fortran_order,
      .shape = *std::move(entries.shape),
  };
}

}  // namespace attention::client
