// One kernel source, two machines. A kernel is written for one block of work: phases over the
// block's threads with barriers between them. On a GPU a phase is the block's threads and a barrier
// is __syncthreads; on a CPU a phase is a plain loop and a barrier is nothing, blocks are shared out
// among OpenMP threads, and a `lane` is a vector register instead of one float.
//
//   blocks(x, y)   y runs in order on a CPU: blocks of the same x may add to the same memory there
//   teams(n)       a warp takes an item; on a CPU, a loop
//   members(n)     the threads of a team share the items; on a CPU, a loop
//   threads(n)     the threads of a block share the items; on a CPU, a loop
//   each(n)        independent items, shared out among everything there is
#pragma once

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define GRID long grid_x, long grid_y,
#define UNROLL _Pragma("unroll")
constexpr int LANES = 1;
constexpr int BATCH = 1;
typedef float lane;

// `blocks` expands in a kernel, where GRID has named the numbers it needs.
#define blocks(...) share_blocks(grid_x, grid_y, __VA_ARGS__)
template <class Body> DEVICE void share_blocks(long nx, long ny, Body body) {
    extern __shared__ float4 scratch[];
    for (long x = blockIdx.y; x < nx; x += gridDim.y)
        for (long y = blockIdx.x; y < ny; y += gridDim.x) body(x, y, reinterpret_cast<float*>(scratch));
}
template <class Body> DEVICE void teams(int n, Body body) {
    for (int i = threadIdx.x / 32; i < n; i += blockDim.x / 32) body(i);
}
template <class Body> DEVICE void members(int from, int to, int step, Body body) {
    for (int i = from + int(threadIdx.x % 32) * step; i < to; i += 32 * step) body(i);
}
template <class Body> DEVICE void threads(int n, Body body) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) body(i);
}
template <class Body> DEVICE void each(long n, Body body) {
    for (long i = blockIdx.x * long(blockDim.x) + threadIdx.x; i < n; i += long(gridDim.x) * blockDim.x) body(i);
}
#define SIMD
DEVICE void barrier() { __syncthreads(); }
DEVICE void team_barrier() { __syncwarp(); }
DEVICE lane load(const float* p) { return *p; }
DEVICE lane load_aligned(const float* p) { return *p; }
DEVICE void store(float* p, lane v) { *p = v; }
DEVICE void add(float* p, lane v, int, int) { atomicAdd(p, v); }
DEVICE void add(float* p, float v) { atomicAdd(p, v); }
DEVICE void interleave(lane even, lane odd, lane& first, lane& second) { first = even, second = odd; }
DEVICE void deinterleave(lane first, lane second, lane& even, lane& odd) { even = first, odd = second; }
typedef int lane_index;
DEVICE lane counting() { return 0.0f; }
DEVICE lane_index floor_of(lane v) { return int(floorf(v)); }
DEVICE lane as_float(lane_index v) { return float(v); }
DEVICE lane_index within(lane_index v, int low, int high) { return v < low ? low : v > high ? high : v; }
DEVICE lane positive(lane v) { return v > 0.0f ? v : 0.0f; }
DEVICE float first_of(lane v) { return v; }
DEVICE lane look_up(const float* p, lane_index at, bool) { return p[at]; }

#else
#include <omp.h>
#include <cmath>
#include <cstdlib>
#include <cstring>
#define DEVICE inline __attribute__((always_inline))
#define KERNEL extern "C" void
#define GRID long grid_x, long grid_y, long scratch_bytes, int thread_count,
#define UNROLL _Pragma("GCC unroll 16")
#ifndef LANES_OVERRIDE
#if defined(__AVX512F__)
#define LANES_OVERRIDE 16
#elif defined(__AVX__)
#define LANES_OVERRIDE 8
#else
#define LANES_OVERRIDE 4
#endif
#endif
constexpr int LANES = LANES_OVERRIDE;
constexpr int BATCH = 4;  // vectors in flight: enough to hide the latency of a multiply-add
typedef float lane __attribute__((vector_size(LANES * sizeof(float)), may_alias));
typedef float loose_lane __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define blocks(...) share_blocks(grid_x, grid_y, scratch_bytes, thread_count, __VA_ARGS__)
template <class Body> DEVICE void share_blocks(long nx, long ny, long bytes, int n_threads, Body body) {
#pragma omp parallel num_threads(n_threads)
    {
        float* scratch = static_cast<float*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
#pragma omp for schedule(dynamic)
        for (long x = 0; x < nx; ++x)
            for (long y = 0; y < ny; ++y) body(x, y, scratch);
        std::free(scratch);
    }
}
#define each(n, ...) share_items(n, thread_count, __VA_ARGS__)
template <class Body> DEVICE void share_items(long n, int n_threads, Body body) {
    const long chunk = 4096;
#pragma omp parallel for num_threads(n_threads) schedule(dynamic)
    for (long c = 0; c < n; c += chunk) {
        const long end = c + chunk < n ? c + chunk : n;
#pragma GCC ivdep
        for (long i = c; i < end; ++i) body(i);
    }
}
#define SIMD _Pragma("omp simd")
template <class Body> DEVICE void teams(int n, Body body) {
    for (int i = 0; i < n; ++i) body(i);
}
template <class Body> DEVICE void members(int from, int to, int step, Body body) {
#pragma omp simd
    for (int i = from; i < to; i += step) body(i);
}
template <class Body> DEVICE void threads(int n, Body body) {
#pragma GCC ivdep
    for (int i = 0; i < n; ++i) body(i);
}
DEVICE void barrier() {}
DEVICE void team_barrier() {}
DEVICE lane load(const float* p) { return *reinterpret_cast<const loose_lane*>(p); }
DEVICE lane load_aligned(const float* p) { return *reinterpret_cast<const lane*>(p); }
DEVICE void store(float* p, lane v) { *reinterpret_cast<loose_lane*>(p) = v; }
DEVICE void add(float* p, float v) { *p += v; }
typedef int lane_index __attribute__((vector_size(LANES * sizeof(int))));
// Adds the first `valid` values of a lane; `before` values before p may be touched, unchanged.
DEVICE void add(float* p, lane v, int valid, int before) {
    if (valid >= LANES) {
        store(p, load(p) + v);
    } else if (before + valid >= LANES) {  // the whole vector that ends where the valid values do
        const int shift = LANES - valid;
        lane_index index;
        for (int l = 0; l < LANES; ++l) index[l] = l < shift ? l : LANES + l - shift;
        store(p - shift, load(p - shift) + __builtin_shuffle(lane{}, v, index));
    } else {
        for (int l = 0; l < valid; ++l) p[l] += v[l];
    }
}
DEVICE void interleave(lane even, lane odd, lane& first, lane& second) {
    lane_index low, high;
    for (int l = 0; l < LANES; ++l) {
        low[l] = l / 2 + (l & 1) * LANES;
        high[l] = (LANES + l) / 2 + ((LANES + l) & 1) * LANES;
    }
    first = __builtin_shuffle(even, odd, low), second = __builtin_shuffle(even, odd, high);
}
DEVICE void deinterleave(lane first, lane second, lane& even, lane& odd) {
    lane_index low, high;
    for (int l = 0; l < LANES; ++l) low[l] = 2 * l, high[l] = 2 * l + 1;
    even = __builtin_shuffle(first, second, low), odd = __builtin_shuffle(first, second, high);
}
DEVICE lane counting() {  // 0, 1, 2, ...
    lane v;
    for (int l = 0; l < LANES; ++l) v[l] = float(l);
    return v;
}
DEVICE lane as_float(lane_index v) { return __builtin_convertvector(v, lane); }
DEVICE lane_index floor_of(lane v) {
    const lane_index towards_zero = __builtin_convertvector(v, lane_index);
    return towards_zero + (as_float(towards_zero) > v);  // a comparison gives -1 where it holds
}
DEVICE lane_index within(lane_index v, int low, int high) {
    v = v < low ? lane_index{} + low : v;
    return v > high ? lane_index{} + high : v;
}
DEVICE lane positive(lane v) { return v > 0.0f ? v : lane{}; }
DEVICE float first_of(lane v) { return v[0]; }
// p[at], ascending. `narrow`: they lie within two vectors from the first on, which may be read.
DEVICE lane look_up(const float* p, lane_index at, bool narrow) {
    if (narrow) return __builtin_shuffle(load(p + at[0]), load(p + at[0] + LANES), at - at[0]);
    lane v;
    for (int l = 0; l < LANES; ++l) v[l] = p[at[l]];
    return v;
}
extern "C" inline __attribute__((used)) int lanes() { return LANES; }
#endif

DEVICE int least(int a, int b) { return a < b ? a : b; }
DEVICE int most(int a, int b) { return a > b ? a : b; }
// fminf and fmaxf are library calls on a CPU, for the sake of NaN.
DEVICE float lesser(float a, float b) { return a < b ? a : b; }
DEVICE float greater(float a, float b) { return a > b ? a : b; }
DEVICE float clamp(float v, float low, float high) { return lesser(greater(v, low), high); }
// Division of `a` by a positive `b`, rounded down for negative `a` too.
DEVICE int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
