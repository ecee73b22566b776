// A worked example and its answer, as a learner wants to read them. All digits are the answer's.

#ifndef ATTENTION_CLIENT_ATTN_EXAMPLE_REPORT_H_
#define ATTENTION_CLIENT_ATTN_EXAMPLE_REPORT_H_

#include <string>

#include "client/examples/example.h"
#include "client/examples/example_run.h"
#include "client/terminal/heat_map.h"

namespace attention::client {

// "friends  self  Four friends choose a motorcycle", a line for each example.
[[nodiscard]] std::string FormatExampleList(const std::vector<Example>& examples);

// The words, then scores, weights, the strongest keys of each query, output and heat map.
[[nodiscard]] std::string FormatExample(const Example& example, const ExampleAnswer& answer,
                                        HeatMapStyle style);

// "matches: ..." or a line for each difference.
[[nodiscard]] std::string FormatComparison(const Comparison& comparison, double tolerance);

// "output[0][2]: expected 0.75652026, got 0.75652126".
[[nodiscard]] std::string DifferenceText(const Difference& difference);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_EXAMPLE_REPORT_H_
