// Attends from one query to two keys that are alike: the answer is the mean of their values.
#include "kernels/attend.h"

int main() {
  using namespace attention::kernels;
  const float query[] = {1}, key[] = {2, 2}, value[] = {3, 5};
  float output[] = {0};
  AttentionProblem problem;
  problem.query = DenseView(query, DataType::kF32, {1, 1, 1, 1});
  problem.key = DenseView(key, DataType::kF32, {1, 1, 2, 1});
  problem.value = DenseView(value, DataType::kF32, {1, 1, 2, 1});
  AttentionOutputs outputs;
  outputs.output = DenseView(output, DataType::kF32, {1, 1, 1, 1});
  return Attend(problem, {}, outputs).ok() && output[0] == 4 ? 0 : 1;
}
