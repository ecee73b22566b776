// How many columns of a terminal a text takes, without asking the locale, which a container may not
// have.
//
// Texts are UTF-8. East Asian wide and full-width characters and emoji take two columns, combining
// marks none. What an emoji joiner, an emoji variation selector or a skin tone adds to the
// character before it is counted as one character with it.

#ifndef ATTENTION_CLIENT_TERMINAL_DISPLAY_WIDTH_H_
#define ATTENTION_CLIENT_TERMINAL_DISPLAY_WIDTH_H_

#include <string>
#include <string_view>

namespace attention::client {

// The columns of a text that Printable() returned.
[[nodiscard]] int DisplayWidth(std::string_view text);

[[nodiscard]] bool IsUtf8(std::string_view text);

// The text with a replacement character for everything that could move the cursor, change the
// direction of writing or is not UTF-8. Labels come from anywhere; a terminal must not obey them.
[[nodiscard]] std::string Printable(std::string_view text);

// The text cut to at most `width` columns, the last of them an ellipsis where something was cut.
// width >= 1.
[[nodiscard]] std::string Shortened(std::string_view text, int width);

// The text with blanks to its right or left up to `width` columns; unchanged where it is already as
// wide.
[[nodiscard]] std::string AlignedLeft(std::string_view text, int width);
[[nodiscard]] std::string AlignedRight(std::string_view text, int width);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_TERMINAL_DISPLAY_WIDTH_H_
