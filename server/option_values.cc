#include "server/option_values.h"

#include <array>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace attention::server {
namespace {

struct ByteUnit {
  absl::string_view suffix;
  int64_t bytes;
};

// Longer suffixes first, "B" being the end of all.
constexpr std::array<ByteUnit, 7> kByteUnits = {{{"GiB", int64_t{1} << 30},
                                                 {"MiB", int64_t{1} << 20},
                                                 {"KiB", int64_t{1} << 10},
                                                 {"GB", 1'000'000'000},
                                                 {"MB", 1'000'000},
                                                 {"kB", 1'000},
                                                 {"B", 1}}};

absl::Status Unlike(absl::string_view got, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat("got '", got, "', want ", want));
}

}  // namespace

absl::StatusOr<int64_t> ParseByteCount(absl::string_view text) {
  absl::string_view digits = text;
  int64_t unit_bytes = 1;
  for (const ByteUnit& unit : kByteUnits) {
    if (absl::ConsumeSuffix(&digits, unit.suffix)) {
      unit_bytes = unit.bytes;
      break;
    }
  }
  int64_t count = 0;
  if (!absl::SimpleAtoi(digits, &count) || count < 0 ||
      __builtin_mul_overflow(count, unit_bytes, &count)) {
    return Unlike(text, "a number of bytes, for example 1048576, 512KiB, 256MiB or 2GiB");
  }
  return count;
}

std::string ByteCountText(int64_t byte_count) {
  for (const ByteUnit& unit : kByteUnits) {
    const bool binary = (unit.bytes & (unit.bytes - 1)) == 0 && unit.bytes > 1;
    if (binary && byte_count >= unit.bytes && byte_count % unit.bytes == 0) {
      return absl::StrCat(byte_count / unit.bytes, unit.suffix);
    }
  }
  return absl::StrCat(byte_count);
}

absl::StatusOr<int64_t> ParseWholeNumber(absl::string_view text, int64_t minimum, int64_t maximum) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < minimum || number > maximum) {
    return Unlike(text, absl::StrCat("a whole number from ", minimum, " to ", maximum));
  }
  return number;
}

absl::StatusOr<double> ParsePositiveNumber(absl::string_view text) {
  double number = 0;
  if (!absl::SimpleAtod(text, &number) || !std::isfinite(number) || number <= 0) {
    return Unlike(text, "a number > 0, for example 1e13");
  }
  return number;
}

absl::StatusOr<bool> ParseBoolean(absl::string_view text) {
  for (const absl::string_view yes : {"true", "on", "yes", "1"}) {
    if (absl::EqualsIgnoreCase(text, yes)) return true;
  }
  for (const absl::string_view no : {"false", "off", "no", "0"}) {
    if (absl::EqualsIgnoreCase(text, no)) return false;
  }
  return Unlike(text, "true or false");
}

}  // namespace attention::server
