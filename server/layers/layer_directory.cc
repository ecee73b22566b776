#include "server/layers/layer_directory.h"

#include <algorithm>
#include <filesystem>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/status_macros.h"
#include "server/layers/layer_description.h"
#include "server/layers/layer_weights.h"
#include "server/layers/read_file.h"
#include "server/layers/safetensors.h"

namespace attention::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxDescriptionBytes = 64 << 10;

absl::Status At(const fs::path& path, const absl::Status& status) {
  if (status.ok()) return status;
  const absl::StatusCode code =
      absl::IsInvalidArgument(status) ? absl::StatusCode::kFailedPrecondition : status.code();
  return {code, absl::StrCat(path.string(), ": ", status.message())};
}

// What a mounted volume has beside the layers.
bool IsIgnored(std::string_view entry) { return entry.front() == '.' || entry == "lost+found"; }

// The layers' folders, by name.
absl::StatusOr<std::vector<fs::path>> FoldersIn(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    const std::string name = path.filename().string();
    if (IsIgnored(name)) continue;
    if (!IsLayerName(name)) {
      return absl::FailedPreconditionError(absl::StrCat(
          directory.string(), ": got the entry \"", absl::CHexEscape(name),
          "\", which is no name of a layer: want 1 to 128 letters, digits and . _ - of ASCII, ",
          "the first a letter or a digit"));
    }
    if (std::error_code unknown; !fs::is_directory(path, unknown)) {
      return absl::FailedPreconditionError(absl::StrCat(
          path.string(), ": got no folder, want one with layer.json and ", "weights.safetensors"));
    }
    folders.push_back(path);
    if (folders.size() > static_cast<size_t>(kMaxLayers)) {
      return absl::FailedPreconditionError(
          absl::StrCat(directory.string(), ": got more than ", kMaxLayers, " layers"));
    }
  }
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory.string(), ": cannot be read: ", error.message()));
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

absl::StatusOr<LayerDescription> ReadDescription(const fs::path& path) {
  ATTENTION_ASSIGN_OR_RETURN(const Buffer file, ReadFile(path.string(), kMaxDescriptionBytes));
  return ParseLayerDescription({static_cast<const char*>(file.data()), file.byte_count()});
}

int64_t BytesLeft(const ByteBudget& budget) {
  return budget.capacity_bytes() - budget.used_bytes();
}

absl::Status NoRoom(int64_t bytes, absl::string_view what, const ByteBudget& budget) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "got ", bytes, " bytes", what, ", want <= ", BytesLeft(budget), ", which are left of the ",
      budget.capacity_bytes(), " for layers (--max-layer-bytes)"));
}

struct CountedContents {
  ByteBudget::Permit permit;  // for the rest
  LayerContents contents;
};

// Takes no memory, for the file or for the layer, that is not left of the budget.
absl::StatusOr<CountedContents> ReadWeights(const fs::path& path,
                                            const LayerDescription& description,
                                            ByteBudget& budget) {
  std::error_code unknown;  // ReadFile then says what is wrong
  const auto stored_bytes = static_cast<int64_t>(fs::file_size(path, unknown));
  const int64_t file_bytes = unknown ? 0 : stored_bytes;
  const ByteBudget::Permit file_permit = budget.TryAcquire(file_bytes);
  if (!file_permit) return NoRoom(file_bytes, "", budget);
  ATTENTION_ASSIGN_OR_RETURN(const Buffer file, ReadFile(path.string(), file_bytes));
  ATTENTION_ASSIGN_OR_RETURN(
      const StoredTensors tensors,
      ParseSafetensors({static_cast<const std::byte*>(file.data()), file.byte_count()}));
  ATTENTION_ASSIGN_OR_RETURN(const int64_t layer_bytes, LayerWeightBytes(description, tensors));
  CountedContents counted;
  counted.permit = budget.TryAcquire(layer_bytes);
  if (!counted.permit) {
    return NoRoom(layer_bytes, " as the layer has them, beside its file", budget);
  }
  ATTENTION_ASSIGN_OR_RETURN(counted.contents, ReadLayerWeights(description, tensors));
  return counted;
}

absl::StatusOr<std::shared_ptr<const Layer>> LoadLayer(const fs::path& folder, ByteBudget& budget,
                                                       kernels::Precision precision) {
  const fs::path description_path = folder / "layer.json";
  const auto description = ReadDescription(description_path);
  if (!description.ok()) return At(description_path, description.status());
  const fs::path weights_path = folder / "weights.safetensors";
  auto read = ReadWeights(weights_path, *description, budget);
  if (!read.ok()) return At(weights_path, read.status());
  read->contents.name = folder.filename().string();
  const auto layer =
      std::make_shared<const Layer>(std::move(read->contents), budget, std::move(read->permit));
  if (layer->Packed(precision) == nullptr) {
    const int64_t packed_bytes = Layer::PackedBytes(layer->contents(), precision);
    return At(folder, packed_bytes > BytesLeft(budget)
                          ? NoRoom(packed_bytes, " packed", budget)
                          : absl::ResourceExhaustedError("no memory for it packed"));
  }
  return layer;
}

}  // namespace

absl::StatusOr<LayerSet> LoadLayers(const std::string& directory, ByteBudget& budget,
                                    const LayerLoading& loading) {
  try {
    ATTENTION_ASSIGN_OR_RETURN(const std::vector<fs::path> folders, FoldersIn(directory));
    LayerSet layers;
    for (const fs::path& folder : folders) {
      if (loading.stop != nullptr && loading.stop->StopRequested()) {
        return absl::CancelledError("stopped on request");
      }
      ATTENTION_ASSIGN_OR_RETURN(std::shared_ptr<const Layer> layer,
                                 LoadLayer(folder, budget, loading.precision));
      layers.emplace(folder.filename().string(), std::move(layer));
    }
    return layers;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(directory, ": no memory for its layers"));
  }
}

}  // namespace attention::server
