// Matrices as pictures made of text: one filled cell for each number, between the lowest and the
// highest of them.

#ifndef ATTENTION_CLIENT_TERMINAL_HEAT_MAP_H_
#define ATTENTION_CLIENT_TERMINAL_HEAT_MAP_H_

#include <cstdint>
#include <string>

#include "client/terminal/labelled_matrix.h"

namespace attention::client {

enum class HeatMapStyle : uint8_t {
  kBlocks,      // blank, light, medium, dark and full blocks; no escape sequences
  k256Colours,  // the colour cube of xterm, with the number in the cell
  kTrueColour,  // 24 bits, with the number in the cell
};

// A line of column labels, a line for each row, and a legend. "?" stands for NaN and "." for an
// infinite number, which have no place between the lowest and the highest.
[[nodiscard]] std::string FormatHeatMap(const LabelledMatrix& matrix, HeatMapStyle style,
                                        const ShownCounts& shown);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_TERMINAL_HEAT_MAP_H_
