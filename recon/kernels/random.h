// Random numbers by counting: Philox 4x32-10 (Salmon et al., SC 2011). They hang on a key and an item's
// number, not on who computes the item, or when.
#pragma once
#include "machine.h"

struct Four {
    float a, b, c, d;  // uniform between 0 and 1, neither of which is met
};

// Cosine and sine of a part of a turn. CUDA's cosf keeps a table for large angles in local memory.
DEVICE void turned_by(float part, float& cosine, float& sine) {
#ifdef __CUDACC__
    sincospif(2.0f * part, &sine, &cosine);
#else
    cosine = cosf(6.2831853f * part), sine = sinf(6.2831853f * part);
#endif
}

class Draws {
    unsigned key0, key1, item0, item1, count = 0;

    static DEVICE float unit(unsigned v) { return (float(v >> 9) + 0.5f) * 1.1920929e-7f; }  // 2^-23

  public:
    DEVICE Draws(long key, long item)
        : key0(unsigned(key)), key1(unsigned((unsigned long long)(key) >> 32)), item0(unsigned(item)),
          item1(unsigned((unsigned long long)(item) >> 32)) {}

    DEVICE Four next() {
        unsigned c0 = count++, c1 = 0, c2 = item0, c3 = item1, k0 = key0, k1 = key1;
        UNROLL for (int round = 0; round < 10; ++round) {
            const unsigned long long first = 0xD2511F53ull * c0, second = 0xCD9E8D57ull * c2;
            c0 = unsigned(second >> 32) ^ c1 ^ k0, c1 = unsigned(second);
            c2 = unsigned(first >> 32) ^ c3 ^ k1, c3 = unsigned(first);
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        return {unit(c0), unit(c1), unit(c2), unit(c3)};
    }
};
