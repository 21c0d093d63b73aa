// Philox4x32-10: four words of 32 random bits that are a function of a counter and a key alone.
//
// Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11. The counter says which group of
// sites, which replica, which step and which use; the key is the seed. So a draw is the same on every machine, in every order
// and on any number of ranks.
//
// Words stand in lanes of 64 bits, of which the upper half is ignored: a product of two words is then one instruction of
// a vector unit, where words of 32 bits would have to be spread first.
#pragma once
#include "host.h"

typedef unsigned long long Word;

struct Words {
    Word a, b, c, d;
};

SCI_DEVICE Words philox(const i64 group, const i64 replica, const i64 step, const int use, const i64 seed) {
    const Word low = 0xFFFFFFFFu;
    Word a = Word(group), b = Word(replica), c = Word(step), d = Word(use);
    unsigned key0 = unsigned(Word(seed)), key1 = unsigned(Word(seed) >> 32);
    SCI_UNROLL
    for (int round = 0; round < 10; ++round) {
        const Word left = (a & low) * 0xD2511F53u, right = (c & low) * 0xCD9E8D57u;
        a = (right >> 32) ^ b ^ key0;
        b = right;
        c = (left >> 32) ^ d ^ key1;
        d = left;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return {a & low, b & low, c & low, d & low};
}
