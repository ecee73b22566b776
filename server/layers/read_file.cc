#include "server/layers/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

class OpenFile {
 public:
  // Does not wait for a writer where the path is a pipe.
  explicit OpenFile(const std::string& path)
      : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::Status SystemError(int number) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot be read: ", std::generic_category().message(number)));
}

absl::Status Changed() { return absl::InvalidArgumentError("changed while it was read"); }

}  // namespace

absl::StatusOr<Buffer> ReadFile(const std::string& path, int64_t max_bytes) {
  const OpenFile file(path);
  if (file.descriptor() < 0) return SystemError(errno);
  struct stat status = {};
  if (fstat(file.descriptor(), &status) != 0) return SystemError(errno);
  if (!S_ISREG(status.st_mode)) return absl::InvalidArgumentError("got no file, want one");
  if (status.st_size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", status.st_size, " bytes, want <= ", max_bytes));
  }
  const auto byte_count = static_cast<size_t>(status.st_size);
  Buffer bytes(byte_count);
  auto* const begin = static_cast<std::byte*>(bytes.data());
  for (size_t done = 0; done < byte_count;) {
    const ssize_t got = read(file.descriptor(), begin + done, byte_count - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(errno);
    if (got == 0) return Changed();
    done += static_cast<size_t>(got);
  }
  std::byte more{};
  if (read(file.descriptor(), &more, 1) != 0) return Changed();
  return bytes;
}

}  // namespace attention::server
