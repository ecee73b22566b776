#include "server/status_mapping.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/status_code_names.h"

namespace attention::server {
namespace {

TEST(ToGrpcStatusTest, KeepsWhatIsTheCallersBusiness) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), "id").ok());
  const struct {
    absl::Status status;
    grpc::StatusCode code;
  } cases[] = {
      {absl::CancelledError("why"), grpc::StatusCode::CANCELLED},
      {absl::InvalidArgumentError("why"), grpc::StatusCode::INVALID_ARGUMENT},
      {absl::DeadlineExceededError("why"), grpc::StatusCode::DEADLINE_EXCEEDED},
      {absl::NotFoundError("why"), grpc::StatusCode::NOT_FOUND},
      {absl::AlreadyExistsError("why"), grpc::StatusCode::ALREADY_EXISTS},
      {absl::ResourceExhaustedError("why"), grpc::StatusCode::RESOURCE_EXHAUSTED},
      {absl::UnimplementedError("why"), grpc::StatusCode::UNIMPLEMENTED},
      {absl::UnavailableError("why"), grpc::StatusCode::UNAVAILABLE},
  };
  for (const auto& each : cases) {
    const grpc::Status status = ToGrpcStatus(each.status, "id");
    EXPECT_EQ(status.error_code(), each.code);
    EXPECT_EQ(status.error_message(), "why");
    EXPECT_TRUE(status.error_details().empty());
  }
}

TEST(ToGrpcStatusTest, HidesFaultsOfOursBehindTheRequestId) {
  for (const absl::Status& status :
       {absl::InternalError("secret"), absl::UnknownError("secret"), absl::DataLossError("secret"),
        absl::OutOfRangeError("secret"), absl::FailedPreconditionError("secret"),
        absl::AbortedError("secret"), absl::PermissionDeniedError("secret"),
        absl::UnauthenticatedError("secret")}) {
    const grpc::Status mapped = ToGrpcStatus(status, "0123456789abcdef");
    EXPECT_EQ(mapped.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(mapped.error_message(), "internal error; request id 0123456789abcdef");
  }
}

TEST(ToGrpcStatusTest, CutsLongMessages) {
  const std::string longest(kMaxStatusMessageBytes, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InvalidArgumentError(longest), "id").error_message(), longest);
  const std::string message =
      ToGrpcStatus(absl::InvalidArgumentError(longest + "y"), "id").error_message();
  EXPECT_EQ(message.size(), kMaxStatusMessageBytes);
  EXPECT_THAT(message, testing::EndsWith("xxx..."));
}

TEST(CodeNameTest, ComesFromAFixedSet) {
  EXPECT_EQ(CodeName(absl::StatusCode::kOk), "ok");
  EXPECT_EQ(CodeName(absl::StatusCode::kResourceExhausted), "resource_exhausted");
  EXPECT_EQ(CodeName(absl::StatusCode::kDataLoss), "internal");
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(12345)), "internal");
}

}  // namespace
}  // namespace attention::server
