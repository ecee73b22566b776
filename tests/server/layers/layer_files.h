// Files of layers, made for a test and deleted after it.

#ifndef ATTENTION_TESTS_SERVER_LAYERS_LAYER_FILES_H_
#define ATTENTION_TESTS_SERVER_LAYERS_LAYER_FILES_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace attention::test {

// A safetensors file of any header, sized as the header is.
inline std::string Safetensors(const std::string& header, const std::string& elements) {
  const uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file + header + elements;
}

inline std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// The elements of a tensor of consecutive F32 numbers.
inline std::string Numbers(int64_t count, float first = 0) {
  std::string bytes(static_cast<size_t>(count) * sizeof(float), '\0');
  for (int64_t i = 0; i < count; ++i) {
    const float number = first + static_cast<float>(i);
    std::memcpy(bytes.data() + static_cast<size_t>(i) * sizeof(number), &number, sizeof(number));
  }
  return bytes;
}

struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::string type = "F32";
  std::string elements = {};  // empty: consecutive F32 numbers
};

// A valid file of these tensors.
inline std::string SafetensorsOf(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> entries;
  std::string elements;
  for (const NamedTensor& tensor : tensors) {
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    const size_t begin = elements.size();
    elements += tensor.elements.empty() ? Numbers(count) : tensor.elements;
    entries.push_back(absl::StrCat("\"", tensor.name, "\":{\"dtype\":\"", tensor.type,
                                   "\",\"shape\":[", absl::StrJoin(tensor.shape, ","),
                                   "],\"data_offsets\":[", begin, ",", elements.size(), "]}"));
  }
  return Safetensors(absl::StrCat("{", absl::StrJoin(entries, ","), "}"), elements);
}

// A folder of a name of its own.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = testing::TempDir() + "layers-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  // Writes a file, with the folders that it is in.
  void Write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

 private:
  std::filesystem::path path_;
};

// A whole layer: one head of width 2 over embeddings of width 3.
inline void WriteLayer(const TemporaryFolder& folder, const std::string& name) {
  folder.Write(name + "/layer.json", R"({"format": "plain", "head_count": 1})");
  folder.Write(name + "/weights.safetensors",
               SafetensorsOf({{"query.weight", {3, 2}}, {"key.weight", {3, 2}}}));
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_LAYERS_LAYER_FILES_H_
