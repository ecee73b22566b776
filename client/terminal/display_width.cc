#include "client/terminal/display_width.h"

#include <algorithm>
#include <cstdint>
#include <span>

#include "client/terminal/width_table.h"

namespace attention::client {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kJoiner = 0x200D;
constexpr char32_t kEmojiSelector = 0xFE0F;

struct Character {
  char32_t code_point;  // kReplacement for what is not UTF-8
  size_t byte_count;
};

// The first character of a text that is not empty. Overlong forms, surrogates and stray bytes are
// not UTF-8; one byte is consumed for each.
Character FirstCharacter(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  constexpr Character kInvalid{kReplacement, 1};
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t byte_count = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < byte_count) return kInvalid;
  char32_t code_point = byte(0) & (0x7F >> byte_count);
  for (size_t i = 1; i < byte_count; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalid;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  constexpr char32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < kLowest[byte_count] || code_point > 0x10FFFF || surrogate) return kInvalid;
  return {code_point, byte_count};
}

bool Contains(std::span<const CodePointRange> ranges, char32_t code_point) {
  const auto after = std::ranges::upper_bound(ranges, code_point, {}, &CodePointRange::first);
  return after != ranges.begin() && code_point <= std::prev(after)->last;
}

bool MovesTheCursor(char32_t code_point) {
  const bool control = code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F);
  const bool separator = code_point == 0x2028 || code_point == 0x2029;
  const bool direction = (code_point >= 0x202A && code_point <= 0x202E) ||
                         (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0x200E ||
                         code_point == 0x200F;
  return control || separator || direction;
}

// Adds up widths character by character, as a character may depend on the one before it.
class WidthCounter {
 public:
  // The columns that `code_point` adds.
  int Add(char32_t code_point) {
    const bool joined = after_joiner_;
    after_joiner_ = code_point == kJoiner;
    if (code_point == kEmojiSelector) {
      const int added = previous_ == 1 ? 1 : 0;
      previous_ += added;
      return added;
    }
    if (Contains(ZeroWidthCodePoints(), code_point)) return 0;
    const int width = Contains(WideCodePoints(), code_point) ? 2 : 1;
    const bool skin_tone = code_point >= 0x1F3FB && code_point <= 0x1F3FF;
    if (previous_ == 2 && (skin_tone || (joined && width == 2))) return 0;
    previous_ = width;
    return width;
  }

 private:
  int previous_ = 0;  // the columns of the last character that has any
  bool after_joiner_ = false;
};

}  // namespace

int DisplayWidth(std::string_view text) {
  WidthCounter counter;
  int width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    width += counter.Add(character.code_point);
    text.remove_prefix(character.byte_count);
  }
  return width;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    if (character.code_point == kReplacement && character.byte_count == 1) return false;
    text.remove_prefix(character.byte_count);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    if (character.code_point == kReplacement || MovesTheCursor(character.code_point)) {
      printable += "\uFFFD";
    } else {
      printable += text.substr(0, character.byte_count);
    }
    text.remove_prefix(character.byte_count);
  }
  return printable;
}

std::string Shortened(std::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  WidthCounter counter;
  size_t kept_bytes = 0;
  int kept_width = 0;
  while (true) {
    const Character character = FirstCharacter(text.substr(kept_bytes));
    kept_width += counter.Add(character.code_point);
    if (kept_width > width - 1) break;
    kept_bytes += character.byte_count;
  }
  return std::string(text.substr(0, kept_bytes)) + "…";
}

std::string AlignedLeft(std::string_view text, int width) {
  return std::string(text) + std::string(std::max(width - DisplayWidth(text), 0), ' ');
}

std::string AlignedRight(std::string_view text, int width) {
  return std::string(std::max(width - DisplayWidth(text), 0), ' ') + std::string(text);
}

}  // namespace attention::client
