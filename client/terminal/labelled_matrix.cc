#include "client/terminal/labelled_matrix.h"

namespace attention::client {

std::vector<size_t> HeadAndTail(size_t count, size_t shown_count) {
  std::vector<size_t> indices;
  const bool all = count <= shown_count;
  const size_t head_count = all ? count : shown_count - shown_count / 2;
  for (size_t i = 0; i < head_count; ++i) indices.push_back(i);
  if (all) return indices;
  indices.push_back(kOmitted);
  for (size_t i = count - shown_count / 2; i < count; ++i) indices.push_back(i);
  return indices;
}

std::vector<std::string> NumberedLabels(const std::string& prefix, size_t count) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < count; ++i) labels.push_back(prefix + std::to_string(i));
  return labels;
}

}  // namespace attention::client
