// Tasks with one more key and value than they were given rows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "server/core/task_runner.h"
#include "tests/server/core/task_fixture.h"

namespace attention::server {
namespace {

using test::ProjectedTask;
using test::ReadyTask;
using test::ValuesOf;

// A few roundings of numbers up to 8.
template <class T>
auto Near(const std::vector<double>& expected) {
  std::vector<testing::Matcher<T>> matchers;
  for (const double value : expected) {
    matchers.push_back(testing::Truly([value](T got) {
      return std::abs(static_cast<double>(got) - value) <= (sizeof(T) == 8 ? 1e-13 : 1e-5);
    }));
  }
  return testing::ElementsAreArray(matchers);
}

template <class T>
class AppendedRowsTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(AppendedRowsTest, Types);

// One more key, ln 3, with the value 8: weights 1/7, 3/7 and 3/7 of the values 0, 4 and 8.
TYPED_TEST(AppendedRowsTest, AppendsAKeyAndAValueToReadyOnes) {
  ReadyTask<TypeParam> ready;
  const TypeParam key = std::log(TypeParam{3});
  const TypeParam value = 8;
  for (HeadsSource* source : {&ready.task.key, &ready.task.value}) {
    source->view.extents[2] = 3;
    source->appended = source == &ready.task.key ? &key : &value;
  }
  ready.task.return_weights = true;
  ASSERT_TRUE(Validate(ready.task).ok());
  constexpr int64_t kCopiedBytes = 2 * 3 * sizeof(TypeParam);
  EXPECT_GE(ScratchBytes(ready.task, 1),
            ScratchBytes(ReadyTask<TypeParam>().task, 1) + kCopiedBytes);
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->weights), Near<TypeParam>({1.0 / 7, 3.0 / 7, 3.0 / 7}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), Near<TypeParam>({36.0 / 7}));
}

// The same for both heads of the projected task, whose keys are 0 and ln 3; the second head's query
// is 0, so that its three weights are 1/3: (0 + 2 + 8) / 3.
TYPED_TEST(AppendedRowsTest, AppendsAKeyAndAValueToProjectedOnes) {
  ProjectedTask<TypeParam> projected;
  const std::vector<TypeParam> keys(2, std::log(TypeParam{3}));
  const std::vector<TypeParam> values(2, 8);
  projected.task.key.appended = keys.data();
  projected.task.value.appended = values.data();
  projected.task.key.view.extents[2] = projected.task.value.view.extents[2] = 3;
  ASSERT_TRUE(Validate(projected.task).ok());
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output),
              Near<TypeParam>({36.0 / 7, 10.0 / 3, 36.0 / 7, 10.0 / 3}));
}

}  // namespace
}  // namespace attention::server
