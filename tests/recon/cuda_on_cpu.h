// Runs the CUDA side of the kernels without a GPU: each CUDA thread is a thread, blocks run one after
// another, __syncthreads and __syncwarp are barriers and atomics are atomics. Slow, but it takes the
// path that a GPU takes, so that a wrong index, a missing barrier or a missing atomic shows.
#pragma once
#define __CUDACC__ 1
#include <barrier>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

inline void sincospif(float x, float* sine, float* cosine) {
    *sine = std::sin(3.14159265358979 * double(x)), *cosine = std::cos(3.14159265358979 * double(x));
}

#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__

struct dim3_ { unsigned x = 1, y = 1, z = 1; };
struct alignas(16) float4 { float x, y, z, w; };
inline thread_local dim3_ threadIdx, blockIdx, blockDim, gridDim;
inline thread_local std::barrier<>*block_barrier, *warp_barrier;
float4 scratch[1 << 16];

inline void __syncthreads() { block_barrier->arrive_and_wait(); }
inline void __syncwarp() { warp_barrier->arrive_and_wait(); }
inline float atomicAdd(float* p, float v) {
    unsigned* bits = reinterpret_cast<unsigned*>(p);
    unsigned old = __atomic_load_n(bits, __ATOMIC_RELAXED), sum;
    float value;
    do {
        std::memcpy(&value, &old, 4);
        const float added = value + v;
        std::memcpy(&sum, &added, 4);
    } while (!__atomic_compare_exchange_n(bits, &old, sum, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return value;
}

// Called as the CPU library's kernels are, so that the same Python drives both.
template <class Kernel, class... Arguments>
void run_grid(Kernel kernel, long parallel, long serial, int n_threads, Arguments... arguments) {
    // Fewer blocks than there is work, as where a grid has more than a GPU allows.
    const long across = (parallel + 1) / 2, along = (serial + 1) / 2;
    for (long y = 0; y < across; ++y)
        for (long x = 0; x < along; ++x) {
            std::memset(static_cast<void*>(scratch), 0xff, sizeof scratch);  // NaN until written
            std::barrier<> block(n_threads);
            std::vector<std::unique_ptr<std::barrier<>>> warps;
            for (int w = 0; w < n_threads / 32; ++w) warps.push_back(std::make_unique<std::barrier<>>(32));
            std::vector<std::thread> threads;
            for (int t = 0; t < n_threads; ++t)
                threads.emplace_back([&, t] {
                    threadIdx = {unsigned(t), 0, 0}, blockIdx = {unsigned(x), unsigned(y), 0};
                    blockDim = {unsigned(n_threads), 1, 1}, gridDim = {unsigned(along), unsigned(across), 1};
                    block_barrier = &block, warp_barrier = warps[t / 32].get();
                    kernel(parallel, serial, arguments...);
                });
            for (auto& thread : threads) thread.join();
        }
}

// A kernel as a function (blocks across, blocks in a row, bytes of scratch, threads, its arguments …).
template <auto kernel, class... Arguments>
void entry(long parallel, long serial, long, int n_threads, Arguments... arguments) {
    run_grid(kernel, parallel, serial, n_threads, arguments...);
}
template <auto kernel, class... Arguments> void* entry_of(void (*)(long, long, Arguments...)) {
    return reinterpret_cast<void*>(&entry<kernel, Arguments...>);
}
#define ENTRY(name) \
    extern "C" void* entry_##name() { return entry_of<&name>(&name); }
