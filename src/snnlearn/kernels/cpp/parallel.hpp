// What every call from XLA needs: threads, memory, and the fastest code that this processor runs.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace snnlearn {

#ifdef SNNLEARN_X86_LEVELS
template <class T>
const T& fastest(const T& baseline, const T& avx2, const T& avx512) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq"))
    return avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
  return baseline;
}
#endif

// Runs work(0) to work(count - 1), each once, on the calling thread and those of the pool that are free.
inline void in_parallel(ffi::ThreadPool& pool, int count, const std::function<void(int)>& work) {
  if (count == 1) return work(0);
  struct Shared {
    std::atomic<int> next{0};
    int done = 0;
    std::mutex mutex;
    std::condition_variable all_done;
  };
  auto shared = std::make_shared<Shared>();
  auto take = [shared, count, &work] {
    for (int k; (k = shared->next++) < count;) {  // a thread that comes late finds nothing, and `work` may be gone
      work(k);
      std::lock_guard<std::mutex> lock(shared->mutex);
      if (++shared->done == count) shared->all_done.notify_one();
    }
  };
#ifdef __SANITIZE_THREAD__  // which does not see how XLA's pool hands work over: threads that it does see stand in
  std::vector<std::thread> threads;
  for (int k = 1; k < count && k < 4; ++k) threads.emplace_back(take);
  take();
  for (std::thread& thread : threads) thread.join();
#else
  for (int k = 1; k < count; ++k) pool.Schedule(std::function<void()>(take));
  take();
#endif
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done == count; });
}

// No size is taken on trust: a call whose buffers are not what its attributes say would touch memory that is not its own.
template <class Buffer>
bool is(const Buffer& buffer, ffi::DataType type, std::initializer_list<int64_t> sizes) {
  const auto found = buffer.dimensions();
  return buffer.element_type() == type && found.size() == sizes.size() &&
         std::equal(sizes.begin(), sizes.end(), found.begin());
}

// Whether a size, with padding, is one that the kernels count with.
inline bool counts(int64_t size, int64_t least) {
  return size >= least && size <= std::numeric_limits<int>::max() - 64;
}

inline ffi::Error refused(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "snnlearn's kernels: " + what + " does not fit the call");
}

// Memory that is given out piece by piece, not initialised, and freed all at once.
class Memory {
 public:
  char* bytes(long size) {
    pieces_.emplace_back(new char[size + 64]);
    return reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(pieces_.back().get()) + 63) / 64 * 64);
  }
  float* floats(long size) { return reinterpret_cast<float*>(bytes(4 * size)); }

 private:
  std::vector<std::unique_ptr<char[]>> pieces_;
};

}  // namespace snnlearn
