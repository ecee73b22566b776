#include "client/terminal/display_width.h"

#include <algorithm>
#include <clocale>

#include "client/terminal/width_table.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

TEST(DisplayWidthTest, CountsColumnsAndNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0);
  EXPECT_EQ(DisplayWidth("cat"), 3);
  EXPECT_EQ(DisplayWidth("naïve"), 5);
  EXPECT_EQ(DisplayWidth("나는"), 4);
  EXPECT_EQ(DisplayWidth("사과를"), 6);
  EXPECT_EQ(DisplayWidth("漢字かなカナ"), 12);
  EXPECT_EQ(DisplayWidth("ｶﾅ"), 2) << "half-width katakana";
  EXPECT_EQ(DisplayWidth("Ａ"), 2) << "full-width Latin";
  EXPECT_EQ(DisplayWidth("│█"), 2) << "box drawing";
}

TEST(DisplayWidthTest, CombiningMarksTakeNoColumn) {
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
  EXPECT_EQ(DisplayWidth("\u1112\u1161\u11ab"), 2) << "a syllable of three Hangul letters";
  EXPECT_EQ(DisplayWidth("か\u3099"), 2);
  EXPECT_EQ(DisplayWidth("กำ"), 2);
  EXPECT_EQ(DisplayWidth("a\u200bb"), 2) << "zero width space";
}

TEST(DisplayWidthTest, AnEmojiSequenceIsOneCharacter) {
  EXPECT_EQ(DisplayWidth("😀"), 2);
  EXPECT_EQ(DisplayWidth("👍🏽"), 2) << "skin tone";
  EXPECT_EQ(DisplayWidth("👩‍👩‍👧"), 2) << "joined";
  EXPECT_EQ(DisplayWidth("❤\uFE0F"), 2) << "emoji selector";
  EXPECT_EQ(DisplayWidth("🇰🇷"), 2) << "flag";
  EXPECT_EQ(DisplayWidth("😀😀"), 4);
}

TEST(DisplayWidthTest, DoesNotDependOnTheLocale) {
  ASSERT_NE(std::setlocale(LC_ALL, "C"), nullptr);
  EXPECT_EQ(DisplayWidth("나는"), 4);
}

TEST(DisplayWidthTest, WhatMovesTheCursorIsReplaced) {
  EXPECT_EQ(Printable("a\x1b[31mb"), "a\uFFFD[31mb");
  EXPECT_EQ(Printable("a\tb\nc\r\x7f"), "a\uFFFDb\uFFFDc\uFFFD\uFFFD");
  EXPECT_EQ(Printable("\u202Eabc\u2066"), "\uFFFDabc\uFFFD");
  EXPECT_EQ(Printable("\u0085"), "\uFFFD");
  EXPECT_EQ(Printable("나는 😀"), "나는 😀");
}

TEST(DisplayWidthTest, WhatIsNotUtf8IsReplacedByteByByte) {
  EXPECT_EQ(Printable("\xff"), "\uFFFD");
  EXPECT_EQ(Printable("\xc0\x80"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(Printable("\xe0\x80\x80"), "\uFFFD\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "surrogate";
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond Unicode";
  EXPECT_EQ(Printable("\xea\xb0"), "\uFFFD\uFFFD") << "cut off";
  EXPECT_EQ(Printable("a\x80z"), "a\uFFFDz");
}

TEST(DisplayWidthTest, Utf8IsToldFromOtherBytes) {
  for (const char* text : {"", "a", "나는 😀", "\uFFFD", "\x1b"}) EXPECT_TRUE(IsUtf8(text)) << text;
  for (const char* text : {"\xff", "a\xc0\x80", "\xea\xb0"}) EXPECT_FALSE(IsUtf8(text));
}

TEST(DisplayWidthTest, ShortenedTextFits) {
  EXPECT_EQ(Shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(Shortened("abcdef", 4), "abc…");
  EXPECT_EQ(Shortened("나는사과", 5), "나는…");
  EXPECT_EQ(Shortened("나는사과", 4), "나…") << "half a character cannot be shown";
  EXPECT_EQ(Shortened("나는", 1), "…");
}

TEST(DisplayWidthTest, AlignmentPadsByColumns) {
  EXPECT_EQ(AlignedLeft("나는", 6), "나는  ");
  EXPECT_EQ(AlignedRight("나는", 6), "  나는");
  EXPECT_EQ(AlignedRight("long", 2), "long");
}

TEST(WidthTableTest, RangesAreSortedAndDisjoint) {
  for (const auto ranges : {ZeroWidthCodePoints(), WideCodePoints()}) {
    ASSERT_GT(ranges.size(), 50u);
    for (size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_LE(ranges[i].first, ranges[i].last);
      if (i == 0) continue;
      EXPECT_GT(ranges[i].first, ranges[i - 1].last);
    }
  }
}

}  // namespace
}  // namespace attention::client
