#include "server/layers/read_file.h"

#include <sys/stat.h>

#include <cstring>
#include <string>

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
using testing::HasSubstr;

TEST(ReadFileTest, ReadsWholeFilesUpToALimit) {
  const test::TemporaryFolder folder;
  folder.Write("file", std::string("a\0b", 3));
  const std::string path = (folder.path() / "file").string();
  const auto bytes = ReadFile(path, 3);
  ASSERT_THAT(bytes, IsOk());
  ASSERT_EQ(bytes->byte_count(), 3u);
  EXPECT_EQ(std::memcmp(bytes->data(), "a\0b", 3), 0);
  EXPECT_THAT(ReadFile(path, 2), StatusIs(StatusCode::kInvalidArgument, "got 3 bytes, want <= 2"));
  folder.Write("empty", "");
  EXPECT_THAT(ReadFile((folder.path() / "empty").string(), 0), IsOk());
}

TEST(ReadFileTest, RefusesWhatIsNoFile) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(ReadFile((folder.path() / "absent").string(), 9),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cannot be read: ")));
  EXPECT_THAT(ReadFile(folder.path().string(), 9), HasCode(StatusCode::kInvalidArgument));
  const std::string pipe = (folder.path() / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ReadFile(pipe, 9), StatusIs(StatusCode::kInvalidArgument, "got no file, want one"));
}

}  // namespace
}  // namespace attention::server
