// Matrices as aligned text.

#ifndef ATTENTION_CLIENT_TERMINAL_TABLE_H_
#define ATTENTION_CLIENT_TERMINAL_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "client/terminal/labelled_matrix.h"

namespace attention::client {

// The number with this many decimals; with an exponent from 10^9 up; "nan", "inf", "-inf". Never
// "-0.00". Does not depend on the locale.
[[nodiscard]] std::string NumberText(double number, int decimals);

// One line of column labels and one for each row: labels to the left, numbers aligned at the right,
// one blank between columns. Lines end in "\n" and have no blanks before it.
[[nodiscard]] std::string FormatTable(const LabelledMatrix& matrix, int decimals,
                                      const ShownCounts& shown);

// "name   value" lines with the values aligned.
[[nodiscard]] std::string FormatPairs(
    const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_TERMINAL_TABLE_H_
