// A small linear system along time, the same for all columns: y[t] = gain_out . s[t] + direct x[t], and
// s[t + 1] = matrix s[t] + gain_in x[t]. Plain data only.

#pragma once

namespace snnlearn {

constexpr int kMostNumbers = 2;  // of a column's state

struct Filter {
  int numbers, steps;
  long columns;
  bool reverse;               // from the last step to the first
  const float* coefficients;  // matrix [numbers, numbers], gain_in [numbers], gain_out [numbers], direct
  const float* inputs;        // [steps, columns]
  float* outputs;             // [steps, columns]
  float* state;               // [numbers, columns], replaced by that after the last step
};

// Compiled for several instruction sets. Columns [first, last).
struct Filters {
  void (*run)(const Filter&, long first, long last);
};

}  // namespace snnlearn
