// Convolutions over time, forward and backward, for some samples of a batch. Compiled once for each instruction set,
// which SNNLEARN_ISA names; nothing here may be shared with the others, not even a template of the standard library.
//
// An image is listed by what is not zero in it, and a current is the sum of the weights of what is listed, so silence
// costs nothing; where that is much, products of all numbers are faster. The errors that go back are such images, too.

#include "convolution.hpp"
#include "events.hpp"
#include "neuron.hpp"

namespace snnlearn {
namespace SNNLEARN_ISA {
namespace {

// What is not zero in an image, row by row and column by column: of column x of row y, entries start[y][x] to
// start[y][x + 1] - 1, each a value and its place in the row, x * channels + channel.
struct Listed {
  uint32_t* start;  // [rows, columns + 1]
  uint32_t* place;
  float* value;
};

// A convolution of images.
struct Sums {
  int rows, columns, channels;  // of an image, with what padding and dilation add to it
  int kernel_height, kernel_width, stride;
  Blocked weight;

  const uint32_t* row(const Listed& image, int y) const { return image.start + long(y) * (columns + 1); }
  long kernel_row() const { return long(kernel_width) * channels; }
  long row_size() const { return long(columns) * channels; }
  long size() const { return rows * row_size(); }
};

// Images, one after the other: lists, and all their numbers where these are many, or else null.
struct Frames {
  Listed* lists;
  const float* numbers;
  int count;
};

Sums forwards(const Convolution& layer) {
  return {layer.pooled_height() + 2 * layer.padding,
          layer.pooled_width() + 2 * layer.padding,
          layer.channels,
          layer.kernel_height,
          layer.kernel_width,
          layer.stride,
          layer.weight};
}

// The transpose: errors lie as far apart as the kernel's steps, and the kernel is reversed.
Sums backwards(const Convolution& layer) {
  return {layer.pooled_height() + layer.kernel_height - 1,
          layer.pooled_width() + layer.kernel_width - 1,
          layer.units,
          layer.kernel_height,
          layer.kernel_width,
          1,
          layer.back};
}

SNNLEARN_INLINE uint32_t put(const Listed& image, uint32_t count, Vec values, uint32_t place) {
#if defined(__AVX512F__)
  const __m512i places = _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                          _mm512_set1_epi32(place));
  const __mmask16 some = _mm512_cmp_ps_mask(__m512(values), _mm512_setzero_ps(), _CMP_NEQ_UQ);
  _mm512_storeu_si512(image.place + count, _mm512_maskz_compress_epi32(some, places));
  _mm512_storeu_ps(image.value + count, _mm512_maskz_compress_ps(some, __m512(values)));
  return count + __builtin_popcount(some);
#else
  for (int n = 0; n < kLanes; ++n) {
    image.place[count] = place + n;
    image.value[count] = values[n];
    count += values[n] != 0;
  }
  return count;
#endif
}

template <class Number>
void fill(Number* out, long size) {
  for (long n = 0; n < size; ++n) out[n] = 0;
}

void copy(float* out, const float* in, long size) {
  for (long n = 0; n < size; ++n) out[n] = in[n];
}

// Of a row of outputs: out[x] = start + the sums over rows [first, last) of the kernel, for a block of units.
template <int kVectors>
void add_sums(const Sums& sums, int unit, int first, int last, const Listed& image, int y, int out_width, int out_stride,
              const float* bias, float* out) {
  constexpr int kWidth = kVectors * kLanes, kChains = kVectors >= 8 ? 1 : 8 / kVectors;  // sums that do not wait
  const float* weight = block(sums.weight, unit);
  for (int x = 0; x < out_width; ++x, out += out_stride) {
    Vec found[kChains][kVectors];
    for (int k = 0; k < kVectors; ++k) found[0][k] = load((bias ? bias : out) + k * kLanes);
    for (int c = 1; c < kChains; ++c)
      for (int k = 0; k < kVectors; ++k) found[c][k] = Vec{};
    for (int ky = first; ky < last; ++ky) {
      const uint32_t* start = sums.row(image, y * sums.stride + ky) + x * sums.stride;
      const float* rows = weight + (ky * sums.kernel_row() - long(x) * sums.stride * sums.channels) * kWidth;
      uint32_t n = start[0];
      const uint32_t end = start[sums.kernel_width];
      for (; n + kChains <= end; n += kChains)
        for (int c = 0; c < kChains; ++c) {
          const float* row = rows + long(image.place[n + c]) * kWidth;
          const Vec value = all(image.value[n + c]);
          for (int k = 0; k < kVectors; ++k) found[c][k] += value * load(row + k * kLanes);
        }
      for (; n < end; ++n) {
        const float* row = rows + long(image.place[n]) * kWidth;
        const Vec value = all(image.value[n]);
        for (int k = 0; k < kVectors; ++k) found[0][k] += value * load(row + k * kLanes);
      }
    }
    for (int c = 1; c < kChains; ++c)
      for (int k = 0; k < kVectors; ++k) found[0][k] += found[c][k];
    for (int k = 0; k < kVectors; ++k) store(out + k * kLanes, found[0][k]);
  }
}

// Of a row of outputs: what their errors make of the gradient of rows [first, last) of the kernel, for a block of units.
template <int kVectors>
void add_products(const Sums& sums, int unit, int first, int last, const Listed& image, int y, int out_width,
                  int out_stride, const float* error, float* gradient) {
  constexpr int kWidth = kVectors * kLanes;
  for (int ky = first; ky < last; ++ky) {
    const uint32_t* starts = sums.row(image, y * sums.stride + ky);
    const float* errors = error;
    for (int x = 0; x < out_width; ++x, errors += out_stride) {
      Vec held[kVectors];
      for (int k = 0; k < kVectors; ++k) held[k] = load(errors + k * kLanes);
      float* rows = gradient + (ky * sums.kernel_row() - long(x) * sums.stride * sums.channels) * kWidth;
      const uint32_t* start = starts + x * sums.stride;
      for (uint32_t n = start[0]; n < start[sums.kernel_width]; ++n) {
        float* row = rows + long(image.place[n]) * kWidth;
        const Vec value = all(image.value[n]);
        for (int k = 0; k < kVectors; ++k) store(row + k * kLanes, load(row + k * kLanes) + value * held[k]);
      }
    }
  }
}

// out[r] += sum over steps s and numbers n of a[s, r, n] times b[s, n], for kRows rows r and kVectors vectors of columns.
struct Product {
  const float *a, *b;
  long a_row, a_step, b_step, a_next, b_next;  // how far it is from one row, step or number to the next
  int steps, inner;
};

template <int kVectors, int kRows>
SNNLEARN_INLINE void tile_of(const Product& p, int first, int column, float* out, long out_stride) {
  out += first * out_stride + column;
  Vec sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int k = 0; k < kVectors; ++k) sums[r][k] = load(out + r * out_stride + k * kLanes);
  for (int s = 0; s < p.steps; ++s) {
    const float *a = p.a + first * p.a_row + s * p.a_step, *b = p.b + column + s * p.b_step;
    for (int n = 0; n < p.inner; ++n, a += p.a_next, b += p.b_next)
      for (int r = 0; r < kRows; ++r)
        for (int k = 0; k < kVectors; ++k) sums[r][k] += a[r * p.a_row] * load(b + k * kLanes);
  }
  for (int r = 0; r < kRows; ++r)
    for (int k = 0; k < kVectors; ++k) store(out + r * out_stride + k * kLanes, sums[r][k]);
}

template <int kVectors>
void rows_of(const Product& p, int rows, int column, float* out, long out_stride) {
  for (int first = 0; first < rows;) {
    const int left = rows - first, tiles = (left + 5) / 6, even = (left + tiles - 1) / tiles;  // of about equal size
    if (even >= 6)
      tile_of<kVectors, 6>(p, first, column, out, out_stride), first += 6;
    else if (even >= 4)
      tile_of<kVectors, 4>(p, first, column, out, out_stride), first += 4;
    else if (even >= 2)
      tile_of<kVectors, 2>(p, first, column, out, out_stride), first += 2;
    else
      tile_of<kVectors, 1>(p, first, column, out, out_stride), first += 1;
  }
}

void add_product_of(const Product& p, int rows, int width, float* out, long out_stride) {
  int column = 0;
  for (; column + kTileVectors * kLanes <= width; column += kTileVectors * kLanes)
    rows_of<kTileVectors>(p, rows, column, out, out_stride);
  for (; column + 2 * kLanes <= width; column += 2 * kLanes) rows_of<2>(p, rows, column, out, out_stride);
  for (; column < width; column += kLanes) rows_of<1>(p, rows, column, out, out_stride);
}

// The memory of one worker: made twice, first of nothing, to see how much it takes.
struct Scratch {
  char* at;
  Listed* heard;       // [steps]: what arrives
  float* heard_numbers;
  int* frame;          // [steps]: which of them
  Listed* errors;      // [steps]: by the currents
  float* error_numbers;
  uint32_t* listed;    // [steps]: how many errors
  float* nothing;      // [channels]: zeros
  float* currents;     // [steps, row]
  float* derivatives;  // [steps, row]
  float* jumps;        // [steps, row]
  float* by_output;    // [steps, row]
  float* joined;       // [height, steps, row]: currents that are added to those of the next layer
  float* state;        // [kStates, row]
  uint32_t* active;    // [words, row]
  uint32_t* reset_before;  // [row]
  float* sent[2];      // [pooled height, steps, pooled row]: errors by what arrives at a layer

  template <class T>
  T* take(long count) {
    char* taken = at;
    at += (count * long(sizeof(T)) + 63) / 64 * 64;
    return reinterpret_cast<T*>(taken);
  }

  Scratch(const Images& images, char* memory) : at(memory) {
    const long steps = images.num_steps;
    long starts = 0, entries = 0, row = 0, pooled = 0, channels = 0, there_size = 0, back_size = 0, joining = 0;
    auto most = [](long& of, long value) { of = value > of ? value : of; };
    for (int l = 0; l < images.num_layers; ++l) {
      const Convolution& layer = images.layers[l];
      const Sums there = forwards(layer), back = backwards(layer);
      most(starts, long(there.rows) * (there.columns + 1));
      most(starts, long(back.rows) * (back.columns + 1));
      most(there_size, there.size());
      most(back_size, back.size());
      most(channels, padded(layer.channels));
      const long arriving = long(layer.pooled_height()) * layer.pooled_width();
      most(entries, arriving * layer.channels + kLanes);
      most(entries, layer.size() + kLanes);
      most(pooled, arriving * padded(layer.channels));
      most(row, layer.row());
      if (layer.joins) most(joining, layer.size());
    }
    heard = take<Listed>(steps);
    errors = take<Listed>(steps);
    frame = take<int>(steps);
    heard_numbers = take<float>(steps * there_size);
    error_numbers = take<float>(steps * back_size);
    listed = take<uint32_t>(steps);
    nothing = take<float>(channels);
    if (memory)
      for (long n = 0; n < channels; ++n) nothing[n] = 0;
    for (int t = 0; t < 2 * steps; ++t) {
      const Listed one{take<uint32_t>(starts), take<uint32_t>(entries), take<float>(entries)};
      if (memory) (t < steps ? heard : errors)[t % steps] = one;
    }
    currents = take<float>(steps * row);
    derivatives = take<float>(steps * row);
    jumps = take<float>(steps * row);
    by_output = take<float>(steps * row);
    joined = take<float>(steps * joining);
    state = take<float>(kStates * row);
    active = take<uint32_t>(words_of(steps) * row);
    reset_before = take<uint32_t>(row);
    for (float*& image : sent) image = take<float>(steps * pooled);
  }
};

struct Pass {
  const Images& images;
  const ImageTrace* traces;
  Scratch scratch;
  const int steps, words;
  Frames heard;  // what arrives at a layer: steps in which it stays the same share one

  Pass(const Images& images, const ImageTrace* traces, char* memory)
      : images(images), traces(traces), scratch(images, memory), steps(images.num_steps), words(words_of(steps)) {}

  uint32_t* spikes(int l, int sample) const { return traces[l].spikes + long(sample) * words * images.layers[l].size(); }

  float* kept(int l, int sample) const {
    return traces[l].currents + long(sample) * steps * images.layers[l].size();
  }

  Units units(const Convolution& layer, int y) const {
    const float* constants = layer.constants + (layer.same_constants ? 0 : long(y) * kConstants * layer.row());
    return {constants, scratch.state, layer.row(), layer.row()};
  }

  Words words_at(const Convolution& layer, uint32_t* words, int y) const {
    return {words ? words + long(y) * layer.row() : nullptr, int(layer.size())};
  }

  // A row of the states that the neurons have, of a sample.
  template <class Move>
  void for_states(const Convolution& layer, int sample, int y, Move move) const {
    long at = long(sample) * layer.num_states() * layer.size() + long(y) * layer.row();
    for (int k = 0; k < kStates; ++k) {
      const bool has = layer.states >> k & 1;
      move(scratch.state + long(k) * layer.row(), has ? at : -1);
      if (has) at += layer.size();
    }
  }
  void load_state(const Convolution& layer, const float* from, int sample, int y) const {
    for_states(layer, sample, y, [&](float* state, long at) {
      if (at >= 0 && from)
        copy(state, from + at, layer.row());
      else
        fill(state, layer.row());
    });
  }
  void store_state(const Convolution& layer, float* to, int sample, int y) const {
    for_states(layer, sample, y, [&](const float* state, long at) {
      if (at >= 0) copy(to + at, state, layer.row());
    });
  }

  // Lists what arrives at a layer.
  void listen(int l, int sample) {
    const Convolution& layer = images.layers[l];
    const Sums sums = forwards(layer);
    const long size = long(layer.height) * layer.width * layer.channels;
    long total = 0;
    heard = {scratch.heard, nullptr, 0};
    for (int t = 0; t < steps; ++t) {
      const bool from_input = layer.source < 0;
      const float* numbers = from_input ? images.inputs + (long(sample) * steps + t) * size : nullptr;
      if (!from_input || !t || !same(numbers, numbers - size, size)) {
        const Listed& image = scratch.heard[heard.count++];
        fill(image.start, long(sums.rows) * (sums.columns + 1));
        uint32_t count = 0;
        for (int y = 0; y < layer.pooled_height(); ++y) {
          uint32_t* start = image.start + long(y + layer.padding) * (sums.columns + 1);
          for (int x = 0; x <= layer.padding; ++x) start[x] = count;
          for (int x = 0; x < layer.pooled_width(); ++x) {
            const uint32_t place = (x + layer.padding) * layer.channels;
            count = from_input ? put_numbers(layer, numbers, y, x, place, image, count)
                               : put_spikes(layer, spikes(layer.source, sample), t, y, x, place, image, count);
            start[x + layer.padding + 1] = count;
          }
          for (int x = layer.pooled_width() + layer.padding; x < sums.columns; ++x) start[x + 1] = count;
        }
        total += count;
      }
      scratch.frame[t] = heard.count - 1;
    }
    heard.numbers = numbers_of(sums, heard, total, scratch.heard_numbers);
  }

  // All numbers of listed images, if these are many.
  static const float* numbers_of(const Sums& sums, const Frames& frames, long total, float* out) {
    if (sums.kernel_row() >= kShort && total < kMany * frames.count * sums.size()) return nullptr;
    fill(out, frames.count * sums.size());
    float* to = out;
    for (int f = 0; f < frames.count; ++f)
      for (int y = 0; y < sums.rows; ++y, to += sums.row_size()) {
        const uint32_t* start = sums.row(frames.lists[f], y);
        for (uint32_t n = start[0]; n < start[sums.columns]; ++n) to[frames.lists[f].place[n]] = frames.lists[f].value[n];
      }
    return out;
  }
  static constexpr float kMany = 0.5f;
  static constexpr int kShort = 16;  // rows of a kernel that are too short for lists

  static bool same(const float* a, const float* b, long size) {
    bool all_same = true;
    for (long n = 0; n < size; ++n) all_same &= a[n] == b[n];
    return all_same;
  }

  uint32_t put_spikes(const Convolution& layer, const uint32_t* words, int t, int y, int x, uint32_t place,
                      const Listed& image, uint32_t count) const {
    const int window = layer.window, row = layer.width * layer.channels;
    const uint32_t* corner = words + long(t / 32) * layer.height * row + long(y) * window * row + x * window * layer.channels;
    const float share = 1.0f / float(window * window);
    for (int c = 0; c < layer.channels; c += kLanes) {
      Mask number = {};
      for (int i = 0; i < window; ++i)
        for (int j = 0; j < window; ++j) number += load(corner + long(i) * row + j * layer.channels + c) >> (t % 32) & 1;
      count = put(image, count, __builtin_convertvector(number, Vec) * share, place + c);
    }
    return count;
  }

  uint32_t put_numbers(const Convolution& layer, const float* numbers, int y, int x, uint32_t place,
                       const Listed& image, uint32_t count) const {
    const int window = layer.window, row = layer.width * layer.channels;
    const float* corner = numbers + long(y) * window * row + x * window * layer.channels;
    for (int c = 0; c < layer.channels; ++c) {
      float sum = 0;
      for (int i = 0; i < window; ++i)
        for (int j = 0; j < window; ++j) sum += corner[long(i) * row + j * layer.channels + c];
      image.place[count] = place + c;
      image.value[count] = sum / float(window * window);
      count += sum != 0;
    }
    return count;
  }

  // Calls work(first, last) for rows of the kernel: as many at a time as stay in the first-level cache.
  template <class Work>
  static void by_kernel_rows(const Sums& sums, int width, Work work) {
    const long row = sums.kernel_row() * width * 4;
    int some = int((40l << 10) / row);
    if (some < 1) some = 1;
    for (int first = 0; first < sums.kernel_height; first += some)
      work(first, first + some < sums.kernel_height ? first + some : sums.kernel_height);
  }

  // A row of the sums of all frames, [frames, out_width * units].
  static void add_row(const Sums& sums, const Frames& frames, int units, int y, int out_width, const float* bias,
                      float* out) {
    const int row = out_width * units;
    for (int unit = 0; unit < units; unit += kBlock) {
      const int width = width_at(unit, units);
      by_kernel_rows(sums, width, [&](int first, int last) {
        for (int f = 0; f < frames.count; ++f) {
          float* at = out + long(f) * row + unit;
          if (frames.numbers) {
            for (int x = 0; x < out_width && !first; ++x) copy(at + long(x) * units, bias + unit, width);
            const Product product{frames.numbers + f * sums.size() + (y * sums.stride + first) * sums.row_size(),
                                  block(sums.weight, unit) + first * sums.kernel_row() * width,
                                  long(sums.stride) * sums.channels,
                                  sums.row_size(),
                                  sums.kernel_row() * width,
                                  1,
                                  width,
                                  last - first,
                                  int(sums.kernel_row())};
            add_product_of(product, out_width, width, at, units);
          } else {
            SNNLEARN_BY_WIDTH(width, add_sums, sums, unit, first, last, frames.lists[f], y, out_width, units,
                              first ? nullptr : bias + unit, at);
          }
        }
      });
    }
  }

  // The currents of a row of units, [steps, row].
  void currents(const Convolution& layer, int y, float* out) const {
    add_row(forwards(layer), heard, layer.units, y, layer.out_width, layer.bias, out);
    for (int t = steps - 1; heard.count < steps && t > scratch.frame[t]; --t)
      copy(out + long(t) * layer.row(), out + long(scratch.frame[t]) * layer.row(), layer.row());
  }
};

struct Forward : Pass {
  using Pass::Pass;

  void run(int sample) {
    for (int l = 0; l < images.num_layers; ++l) {
      const Convolution& layer = images.layers[l];
      const int row = layer.row();
      const bool joined = l && images.layers[l - 1].joins;
      listen(l, sample);
      if (layer.neuron.spiking) fill(spikes(l, sample), words * layer.size());
      for (int y = 0; y < layer.out_height; ++y) {
        float* current = layer.keeps_currents ? kept(l, sample) + long(y) * steps * row : scratch.currents;
        float* others = scratch.joined + long(y) * steps * row;
        currents(layer, y, current);
        if (joined)
          for (long n = 0; n < long(steps) * row; ++n) current[n] += others[n];
        if (layer.joins) {
          copy(others, current, long(steps) * row);
          continue;
        }
        load_state(layer, traces[l].before, sample, y);
        if (layer.neuron.spiking) {
          advance(layer.neuron, units(layer, y), current, 0, steps, words_at(layer, spikes(l, sample), y), {nullptr, 0});
        } else {
          integrate(units(layer, y), current, steps);
          for (int t = 0; t < steps; ++t)
            copy(traces[l].membrane + (long(sample) * steps + t) * layer.size() + long(y) * row, current + long(t) * row,
                 row);
        }
        store_state(layer, traces[l].after, sample, y);
      }
    }
  }
};

struct Backward : Pass {
  const ImageGradient* gradients;
  float* by_input;

  Backward(const Images& images, const ImageTrace* traces, const ImageGradient* gradients, float* by_input, char* memory)
      : Pass(images, traces, memory), gradients(gradients), by_input(by_input) {}

  void run(int sample) {
    for (int l = images.num_layers - 1; l >= 0; --l) {
      const Convolution& layer = images.layers[l];
      const bool sends = l || by_input;
      listen(l, sample);
      if (sends) {
        const Sums back = backwards(layer);
        for (int t = 0; t < steps; ++t) fill(scratch.errors[t].start, long(back.rows) * (back.columns + 1));
        for (int t = 0; t < steps; ++t) scratch.listed[t] = 0;
      }
      for (int y = 0; y < layer.out_height; ++y) {
        receive(l, sample, y);
        retreat(l, sample, y);
        learn(l, y);
        if (sends) list_errors(layer, y);
      }
      if (sends) send(l);
      if (!l && by_input) give(sample);
    }
  }

  // A row of the gradient by the layer's output: from outside, and from the layer above.
  void receive(int l, int sample, int y) const {
    const Convolution& layer = images.layers[l];
    const int row = layer.row();
    const float* outside = gradients[l].output;
    for (int t = 0; t < steps; ++t) {
      float* out = scratch.by_output + long(t) * row;
      if (outside)
        copy(out, outside + (long(sample) * steps + t) * layer.size() + long(y) * row, row);
      else
        fill(out, row);
    }
    if (l + 1 == images.num_layers) return;
    const Convolution& above = images.layers[l + 1];
    for (int t = 0; t < steps; ++t) add_sent(above, scratch.sent[(l + 1) % 2], t, y, scratch.by_output + long(t) * row);
  }

  // out [width * channels] += what a layer sends back to row y of what arrives at it.
  void add_sent(const Convolution& layer, const float* sent, int t, int y, float* out) const {
    const int window = layer.window, wide = padded(layer.channels), row = layer.pooled_width() * wide;
    if (y / window >= layer.pooled_height()) return;
    const float share = 1.0f / float(window * window);
    const float* from = sent + (long(y / window) * steps + t) * row;
    for (int x = 0; x < layer.pooled_width() * window; ++x, out += layer.channels)
      for (int c = 0; c < layer.channels; ++c) out[c] += share * from[x / window * wide + c];
  }

  // A row of neurons backward: errors by their outputs become errors by their currents.
  void retreat(int l, int sample, int y) {
    const Convolution& layer = images.layers[l];
    const Layer& neuron = layer.neuron;
    const int row = layer.row();
    const Words fired = words_at(layer, neuron.spiking ? spikes(l, sample) : nullptr, y);
    float* jumps = neuron.reset_flows ? scratch.jumps : nullptr;
    if (neuron.spiking) {
      if (layer.keeps_currents)
        copy(scratch.derivatives, kept(l, sample) + long(y) * steps * row, long(steps) * row);
      else
        currents(layer, y, scratch.derivatives);
      load_state(layer, traces[l].before, sample, y);
      if (neuron.late_reset)
        for (int n = 0; n < row; ++n) scratch.reset_before[n] = scratch.state[long(kSpikes) * row + n] > 0;
      fill(scratch.active, long(words) * row);
      advance_again(neuron, units(layer, y), scratch.derivatives, steps, fired, {scratch.active, row}, jumps);
    }
    load_state(layer, gradients[l].after, sample, y);
    SNNLEARN_ISA::retreat(neuron, units(layer, y), scratch.by_output, 0, steps,
                          neuron.spiking ? scratch.derivatives : nullptr, {scratch.active, row}, fired,
                          scratch.reset_before, jumps);
    store_state(layer, gradients[l].before, sample, y);
  }

  // What a row of errors makes of the gradients of weights and biases.
  void learn(int l, int y) const {
    const Convolution& layer = images.layers[l];
    const Sums sums = forwards(layer);
    const int row = layer.row();
    const float* errors = scratch.by_output;
    for (int t = 0; t < steps; ++t)
      for (int x = 0; x < layer.out_width; ++x, errors += layer.units)
        for (int k = 0; k < layer.units; k += kLanes)
          store(gradients[l].bias + k, load(gradients[l].bias + k) + load(errors + k));

    const float* total = scratch.by_output;
    if (heard.count < steps) total = by_frame(layer);
    for (int unit = 0; unit < layer.units; unit += kBlock) {
      const int width = width_at(unit, layer.units);
      float* gradient = block(gradients[l].weight, unit);
      if (heard.numbers) {
        for (int ky = 0; ky < layer.kernel_height; ++ky) {
          const Product product{heard.numbers + (y * sums.stride + ky) * sums.row_size(),
                                total + unit,
                                1,
                                sums.size(),
                                row,
                                long(sums.stride) * sums.channels,
                                layer.units,
                                heard.count,
                                layer.out_width};
          add_product_of(product, int(sums.kernel_row()), width, gradient + ky * sums.kernel_row() * width, width);
        }
        continue;
      }
      by_kernel_rows(sums, width, [&](int first, int last) {
        for (int f = 0; f < heard.count; ++f)
          SNNLEARN_BY_WIDTH(width, add_products, sums, unit, first, last, heard.lists[f], y, layer.out_width, layer.units,
                            total + long(f) * row + unit, gradient);
      });
    }
  }

  // The row's errors, those of steps in which the same arrives added up.
  const float* by_frame(const Convolution& layer) const {
    float* total = scratch.derivatives;
    fill(total, long(heard.count) * layer.row());
    for (int t = 0; t < steps; ++t) {
      const float* error = scratch.by_output + long(t) * layer.row();
      float* out = total + long(scratch.frame[t]) * layer.row();
      for (int n = 0; n < layer.row(); ++n) out[n] += error[n];
    }
    return total;
  }

  // A row of errors as those that the transposed convolution sees.
  void list_errors(const Convolution& layer, int y) {
    const Sums back = backwards(layer);
    const int at = y * layer.stride + layer.kernel_height - 1 - layer.padding;
    if (at < 0 || at >= back.rows) return;
    const int first = layer.kernel_width - 1 - layer.padding;
    for (int t = 0; t < steps; ++t) {
      const float* errors = scratch.by_output + long(t) * layer.row();
      uint32_t* start = scratch.errors[t].start + long(at) * (back.columns + 1);
      uint32_t count = scratch.listed[t];
      int column = 0;
      start[0] = count;
      for (int x = 0; x < layer.out_width; ++x, errors += layer.units) {
        const int place = first + x * layer.stride;
        if (place < 0 || place >= back.columns) continue;
        for (; column < place; ++column) start[column + 1] = count;
        for (int k = 0; k < layer.units; k += kLanes)
          count = put(scratch.errors[t], count, load(errors + k), place * layer.units + k);
        start[++column] = count;
      }
      for (; column < back.columns; ++column) start[column + 1] = count;
      scratch.listed[t] = count;
    }
  }

  void send(int l) const {
    const Convolution& layer = images.layers[l];
    const int wide = padded(layer.channels);
    const Sums back = backwards(layer);
    Frames frames{scratch.errors, nullptr, steps};
    long total = 0;
    for (int t = 0; t < steps; ++t) total += scratch.listed[t];
    frames.numbers = numbers_of(back, frames, total, scratch.error_numbers);
    for (int y = 0; y < layer.pooled_height(); ++y)
      add_row(back, frames, wide, y, layer.pooled_width(), scratch.nothing,
              scratch.sent[l % 2] + long(y) * steps * layer.pooled_width() * wide);
  }

  void give(int sample) const {
    const Convolution& layer = images.layers[0];
    const int row = layer.width * layer.channels;
    for (int t = 0; t < steps; ++t)
      for (int y = 0; y < layer.height; ++y) {
        float* out = by_input + ((long(sample) * steps + t) * layer.height + y) * row;
        fill(out, row);
        add_sent(layer, scratch.sent[0], t, y, out);
      }
  }
};

}  // namespace

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {
    [](const Images& images, const ImageTrace* traces, int first, int last, char* scratch) {
      Forward pass(images, traces, scratch);
      for (int sample = first; sample < last; ++sample) pass.run(sample);
    },
    [](const Images& images, const ImageTrace* traces, const ImageGradient* gradients, float* input, int first, int last,
       char* scratch) {
      Backward pass(images, traces, gradients, input, scratch);
      for (int sample = first; sample < last; ++sample) pass.run(sample);
    },
    [](const Images& images) -> long {
      Scratch counted(images, nullptr);
      return counted.at - static_cast<char*>(nullptr);
    },
};

}  // namespace SNNLEARN_ISA
}  // namespace snnlearn
