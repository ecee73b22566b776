#include "server/layers/layer_directory.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::HasCode;
using test::IsOk;
using test::StatusIs;
using test::WriteLayer;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class LoadLayersTest : public testing::Test {
 protected:
  absl::StatusOr<LayerSet> Load(const LayerLoading& loading = {}) {
    return LoadLayers(folder_.path().string(), budget_, loading);
  }

  const test::TemporaryFolder folder_;
  ByteBudget budget_{int64_t{1} << 30};
};

TEST_F(LoadLayersTest, LoadsEveryLayerUnderItsName) {
  WriteLayer(folder_, "a");
  WriteLayer(folder_, "layer.1");
  folder_.Write(".hidden/file", "x");
  const auto layers = Load();
  ASSERT_THAT(layers, IsOk());
  ASSERT_EQ(layers->size(), 2u);
  EXPECT_EQ(layers->at("a")->contents().name, "a");
  EXPECT_EQ(layers->at("layer.1")->contents().query->input_width, 3);
}

TEST_F(LoadLayersTest, TakesAnEmptyFolderForNoLayers) {
  const auto layers = Load();
  ASSERT_THAT(layers, IsOk());
  EXPECT_TRUE(layers->empty());
}

TEST_F(LoadLayersTest, PacksForThePrecisionAtOnce) {
  WriteLayer(folder_, "a");
  const auto layers = Load({.precision = kernels::Precision::kBF16X6});
  ASSERT_THAT(layers, IsOk());
  const int64_t used = budget_.used_bytes();
  EXPECT_NE(layers->at("a")->Packed(kernels::Precision::kBF16X6), nullptr);
  EXPECT_EQ(budget_.used_bytes(), used);
}

TEST_F(LoadLayersTest, FollowsLinksToFolders) {
  const test::TemporaryFolder elsewhere;
  WriteLayer(elsewhere, "real");
  std::filesystem::create_directory_symlink(elsewhere.path() / "real", folder_.path() / "link");
  const auto layers = Load();
  ASSERT_THAT(layers, IsOk());
  EXPECT_EQ(layers->count("link"), 1u);
}

TEST_F(LoadLayersTest, NamesTheFileThatIsNoLayer) {
  const std::string at = (folder_.path() / "a").string();
  WriteLayer(folder_, "a");
  folder_.Write("a/layer.json", R"({"format": "plain"})");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition,
                               StartsWith(at + "/layer.json: head_count: got nothing")));
  WriteLayer(folder_, "a");
  folder_.Write("a/weights.safetensors", "1234567");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition,
                               at + "/weights.safetensors: file: got 7 bytes, want >= 8"));
  WriteLayer(folder_, "a");
  std::filesystem::remove(folder_.path() / "a" / "weights.safetensors");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition,
                               AllOf(StartsWith(at + "/weights.safetensors: cannot be read: "))));
  std::filesystem::remove(folder_.path() / "a" / "layer.json");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition,
                               StartsWith(at + "/layer.json: cannot be read: ")));
  EXPECT_EQ(budget_.used_bytes(), 0);
}

TEST_F(LoadLayersTest, RefusesEntriesThatAreNoLayers) {
  folder_.Write("README", "x");
  EXPECT_THAT(Load(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("README: got no folder")));
  std::filesystem::remove(folder_.path() / "README");
  WriteLayer(folder_, "a b");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition,
                               HasSubstr("got the entry \"a b\", which is no name of a layer")));
  std::filesystem::remove_all(folder_.path() / "a b");
  WriteLayer(folder_, "a\nb\xff");
  EXPECT_THAT(Load(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("\"a\\nb\\xff\"")));
}

TEST_F(LoadLayersTest, DoesNotLookAtWhatAVolumeHasBesideTheLayers) {
  WriteLayer(folder_, "a");
  std::filesystem::create_directory(folder_.path() / "lost+found");
  std::filesystem::create_directory(folder_.path() / "..data");
  const auto layers = Load();
  ASSERT_THAT(layers, IsOk());
  EXPECT_EQ(layers->size(), 1u);
}

TEST_F(LoadLayersTest, RefusesAFolderThatIsNotThere) {
  EXPECT_THAT(LoadLayers((folder_.path() / "absent").string(), budget_, {}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("absent: cannot be read: ")));
}

TEST_F(LoadLayersTest, KeepsToItsBudgetAndReturnsWhatItTook) {
  WriteLayer(folder_, "a");
  WriteLayer(folder_, "b");
  {
    const auto layers = Load();
    ASSERT_THAT(layers, IsOk());
  }
  EXPECT_EQ(budget_.used_bytes(), 0);
  ByteBudget small(1000);  // more than one file, less than a layer with its packed maps
  EXPECT_THAT(LoadLayers(folder_.path().string(), small, {}),
              StatusIs(StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("b: got "), HasSubstr(" bytes packed, want <= "),
                             HasSubstr("left of the 1000 for layers (--max-layer-bytes)"))));
  EXPECT_EQ(small.used_bytes(), 0);
}

TEST_F(LoadLayersTest, TakesNoMemoryThatIsNotLeftOfItsBudget) {
  folder_.Write("a/weights.safetensors", test::SafetensorsOf({{"query.weight", {100, 2}}}));
  folder_.Write("a/layer.json", R"({"format": "plain", "head_count": 1, "data_type": "F64"})");
  const auto file_bytes =
      static_cast<int64_t>(std::filesystem::file_size(folder_.path() / "a/weights.safetensors"));
  const auto refused = [this](int64_t bytes_left, const std::string& detail) {
    ByteBudget budget(1 << 20);
    const auto taken = budget.TryAcquire((1 << 20) - bytes_left);
    EXPECT_THAT(LoadLayers(folder_.path().string(), budget, {}),
                StatusIs(StatusCode::kResourceExhausted,
                         AllOf(HasSubstr("/weights.safetensors: "), HasSubstr(detail))));
  };
  refused(file_bytes - 1, absl::StrCat("got ", file_bytes, " bytes, want <= ", file_bytes - 1));
  refused(file_bytes, "got 1600 bytes as the layer has them");
  // Each would fit without the other.
  refused(file_bytes + 1599,
          "got 1600 bytes as the layer has them, beside its file, want <= 1599, which are left");
}

TEST_F(LoadLayersTest, EndsBetweenLayersWhenAsked) {
  class Always final : public kernels::StopSignal {
   public:
    [[nodiscard]] bool StopRequested() const override { return true; }
  };
  WriteLayer(folder_, "a");
  const Always stop;
  EXPECT_THAT(Load({.stop = &stop}), HasCode(StatusCode::kCancelled));
}

}  // namespace
}  // namespace attention::server
