// The tensors of one command, from its files.

#ifndef ATTENTION_CLIENT_ATTN_TENSOR_FILES_H_
#define ATTENTION_CLIENT_ATTN_TENSOR_FILES_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/array/array_file.h"
#include "client/requests.h"

namespace attention::client {

// The longest axis that a tensor of the service can have: a sequence, and the positions of a rotary
// table. Source: the limits in proto/README.md.
inline constexpr int64_t kMaxExtent = 1'048'576;

// How many elements of this type the largest message holds.
[[nodiscard]] int64_t MaxElements(DataType type);

// The vector arguments of the service have one axis; a file of one row or column is meant as one.
[[nodiscard]] TensorRef AsVector(const TensorRef& tensor);

// The tensor without its axis at `index` where it has that one and its extent is 1, as a tensor has
// that got an axis to be sent; otherwise as it is.
[[nodiscard]] TensorValue WithoutAxis(TensorValue tensor, size_t index);

// Reads tensors, keeps them, and remembers the first problem; after one, all further reads do
// nothing.
class TensorFiles {
 public:
  TensorFiles(ArrayFormat format, std::istream& standard_input)
      : format_(format), standard_input_(standard_input) {}

  // The tensor in a file, as `type`; a finite number that would become infinite is refused. `flag`
  // names it in errors, the note is what else to say of a file that cannot be opened. Standard
  // input can be read for one flag only. An extent over kMaxExtent is refused even where there are
  // no elements: what is made for each row would not fit into memory.
  [[nodiscard]] TensorRef Read(const std::string& flag, const std::string& path, DataType type,
                               const std::string& not_found_note = "");

  // The same where the path is not empty.
  [[nodiscard]] std::optional<TensorRef> ReadOptional(const std::string& flag,
                                                      const std::string& path, DataType type);

  // Numbers for each head or word: the text itself where it is numbers with commas between them,
  // otherwise the file of that name, a row or column of which is a vector. Empty for an empty text.
  [[nodiscard]] std::optional<TensorRef> ReadNumbers(const std::string& flag,
                                                     const std::string& text, DataType type);

  // Counts as a vector of kInt64. Empty for none.
  [[nodiscard]] std::optional<TensorRef> KeepCounts(const std::vector<int64_t>& counts);

  // Keeps a tensor that came from elsewhere.
  [[nodiscard]] TensorRef Keep(TensorValue tensor);

  void Fail(const std::string& problem);
  [[nodiscard]] const absl::Status& status() const { return status_; }
  [[nodiscard]] std::list<TensorValue> TakeTensors() && { return std::move(tensors_); }

 private:
  const ArrayFormat format_;
  std::istream& standard_input_;
  std::string standard_input_flag_;  // the flag that read it
  std::list<TensorValue> tensors_;
  absl::Status status_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_TENSOR_FILES_H_
