// A sweep of heat bath over the spins of dense associative memories, one after the other; a thread has a chain.
//
// The field of spin i is the sum over patterns of psi_i e(P - 1), e the elementary symmetric polynomial of psi_j s_j over
// the other spins: couplings over distinct indices. By Newton's identities it follows from sums of powers: the even ones do
// not change, the odd ones are held for each chain. One pass over the patterns of a spin brings the sums up to date with
// the spin before it, takes out the spin's own terms, and adds up the field: nothing of the size of patterns times
// spins is stored for a chain.
//
// Flops of a spin and pattern: 2 P + P^2 / 2. Bytes: 16 P / 2 of the odd sums, from cache for few patterns. The limit is
// arithmetic where patterns times chains of a block fit in cache, else the sums are read and written once a spin.
#include "philox.h"

// `patterns` has a row for each spin, `even` the sums of the even powers of each pattern, `odd` those of psi s, (psi s)^3,
// and so on.
// Instances: <double, 2|3|4|5|6>
template <typename T, int P>
SCI_KERNEL memory_sweep(SCI_INDEX const T* __restrict__ patterns /*[n, k]*/, const T* __restrict__ even /*[evens, k]*/,
                        T* __restrict__ odd /*[k, odds, chains]*/, signed char* __restrict__ spins /*[n, chains]*/,
                        const i64 n, const i64 k, const i64 chains, const double beta, const double scale,
                        const i64 origin, const i64 step, const i64 seed) {
    constexpr int ODD = P / 2;
    for (i64 block = blockIdx.x; block * SCI_BLOCK < chains; block += gridDim.x) {
        T field[SCI_SLOTS], spin[SCI_SLOTS], change[SCI_SLOTS];
        Word words[4][SCI_SLOTS];
        SCI_THREADS(t) { change[SCI_SLOT(t)] = T(0); }
        for (i64 i = 0; i < n; ++i) {
            SCI_THREADS(t) {
                const i64 c = block * SCI_BLOCK + t;
                field[SCI_SLOT(t)] = T(0);
                spin[SCI_SLOT(t)] = c < chains ? T(spins[i * chains + c]) : T(1);
            }
            for (i64 m = 0; m < k; ++m) {
                const T psi = patterns[i * k + m], last = i > 0 ? patterns[(i - 1) * k + m] : T(0);
                SCI_THREADS(t) {
                    const i64 c = block * SCI_BLOCK + t;
                    if (c < chains) {
                        // power[j] is the sum over the other spins of (psi s)^j, up to the sign of Newton's identity.
                        T power[P], e[P], own = psi * spin[SCI_SLOT(t)], before = last * change[SCI_SLOT(t)];
                        SCI_UNROLL
                        for (int o = 0; o < ODD; ++o) {
                            T* const sum = odd + (m * ODD + o) * chains + c;
                            const T now = *sum + before;
                            *sum = now;
                            power[2 * o + 1] = now - own;
                            own *= psi * psi;
                            before *= last * last;
                        }
                        T square = psi * psi;
                        SCI_UNROLL
                        for (int o = 0; 2 * o + 2 < P; ++o) {
                            power[2 * o + 2] = even[o * k + m] - square;
                            square *= psi * psi;
                        }
                        e[0] = T(1);
                        SCI_UNROLL
                        for (int j = 1; j < P; ++j) {
                            T sum = T(0);
                            SCI_UNROLL
                            for (int l = 1; l <= j; ++l) sum += (l & 1) ? e[j - l] * power[l] : -e[j - l] * power[l];
                            e[j] = sum * (T(1) / T(j));
                        }
                        field[SCI_SLOT(t)] += psi * e[P - 1];
                    }
                }
                SCI_SEPARATE;
            }
            if (i % 4 == 0) {
                SCI_THREADS(t) {
                    const Words drawn = philox(i / 4, origin + block * SCI_BLOCK + t, step, 5, seed);
                    words[0][SCI_SLOT(t)] = drawn.a;
                    words[1][SCI_SLOT(t)] = drawn.b;
                    words[2][SCI_SLOT(t)] = drawn.c;
                    words[3][SCI_SLOT(t)] = drawn.d;
                }
            }
            SCI_THREADS(t) {
                const i64 c = block * SCI_BLOCK + t;
                const i64 w = i % 4;
                const Word word = w == 0   ? words[0][SCI_SLOT(t)]
                                  : w == 1 ? words[1][SCI_SLOT(t)]
                                  : w == 2 ? words[2][SCI_SLOT(t)]
                                           : words[3][SCI_SLOT(t)];
                const double u = (double(word) + 0.5) * (1.0 / 4294967296.0);
                const double odds = -2.0 * beta * scale * double(field[SCI_SLOT(t)]);
                const T now = u * (1.0 + sci_exp(odds > 700.0 ? 700.0 : odds)) < 1.0 ? T(1) : T(-1);
                change[SCI_SLOT(t)] = now - spin[SCI_SLOT(t)];
                if (c < chains) spins[i * chains + c] = (signed char)(now);
            }
        }
    }
}
