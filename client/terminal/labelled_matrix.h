// A matrix with a name for each row and column: what tables and heat maps are made from.

#ifndef ATTENTION_CLIENT_TERMINAL_LABELLED_MATRIX_H_
#define ATTENTION_CLIENT_TERMINAL_LABELLED_MATRIX_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace attention::client {

// Row-major; numbers.size() is the product of the label counts. The numbers are borrowed.
struct LabelledMatrix {
  std::vector<std::string> row_labels;
  std::vector<std::string> column_labels;
  std::span<const double> numbers = {};

  [[nodiscard]] double At(size_t row, size_t column) const {
    return numbers[row * column_labels.size() + column];
  }
};

// How much of a matrix is shown: from a longer axis only the first and last entries.
struct ShownCounts {
  size_t rows = 20;
  size_t columns = 12;
};

// The indices shown of `count` entries, in order; kOmitted stands once for all that are left out.
inline constexpr size_t kOmitted = static_cast<size_t>(-1);
[[nodiscard]] std::vector<size_t> HeadAndTail(size_t count, size_t shown_count);

// "0", "1", ... with a prefix.
[[nodiscard]] std::vector<std::string> NumberedLabels(const std::string& prefix, size_t count);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_TERMINAL_LABELLED_MATRIX_H_
