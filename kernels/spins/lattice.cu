// A half sweep of the Ising model on a periodic grid: every spin of one color, given those of the other color.
//
// The sites of one color lie apart from those of the other, row by row of the last axis, and the replicas of a site side
// by side: entry k = j replicas + replica of a row is site 2 j + ((row's parity + color) mod 2). The neighbors in other
// rows have the same k, those along the row k and k -+ replicas, round the ring. So all loops run over consecutive bytes,
// for one large lattice and for many small ones.
//
// A spin becomes +1 if its random word is below a threshold that the caller has computed for each replica, for either
// value of the spin and for each sum of the neighbors: heat bath and Metropolis differ in the table. One draw of Philox serves the
// four sites of a replica that are a quarter of a row apart.
//
// Operations of a spin: 25 integer operations of a quarter of a draw, 2 axes additions, one look-up and one comparison.
// Bytes of a spin: 1 written and 3 read in two axes, which stay in cache: the limit is arithmetic.
#include "spins/philox.h"

SCI_DEVICE int signed_word(const Word word) { return int(unsigned(word) ^ 0x80000000u); }

// `threshold` has for each replica a row for spins of -1 and one for +1; `beside` the rows next to each row in other axes,
// `shift` which way the other neighbor along the row lies; `place` and `lane` number of a group and replica of the
// `groups` draws of a row; `origin` the number of the first replica among those of all ranks.
// Instances: <signed char, 0|2|4>
template <typename T, int BESIDE>
SCI_KERNEL update_color(SCI_INDEX const T* __restrict__ other /*[rows, length]*/, T* __restrict__ own /*[rows, length]*/,
                      const int* __restrict__ threshold /*[replicas, 2, sums]*/,
                      const i64* __restrict__ beside /*[rows, BESIDE]*/, const int* __restrict__ shift /*[rows]*/,
                      const int* __restrict__ place /*[groups]*/, const int* __restrict__ lane /*[groups]*/,
                      const i64 rows, const i64 length, const i64 replicas, const i64 groups, const i64 sums,
                      const i64 origin, const i64 step, const i64 seed) {
    const i64 each = groups / replicas;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    for (i64 item = i64(blockIdx.x) * SCI_BLOCK + threadIdx.x; item < rows * groups; item += i64(gridDim.x) * SCI_BLOCK) {
        const i64 row = item / groups, i = item % groups, r = lane[i];
        const Words drawn = philox(row * each + place[i], origin + r, step, 0, seed);
        const Word words[4] = {drawn.a, drawn.b, drawn.c, drawn.d};
        const T* const line = other + row * length;
        SCI_UNROLL
        for (int w = 0; w < 4; ++w) {
            const i64 k = w * groups + i;
            if (k >= length) continue;
            i64 next = shift[row] > 0 ? k + replicas : k - replicas;
            next += next < 0 ? length : next >= length ? -length : 0;
            int sum = line[k] + line[next];
            SCI_UNROLL
            for (int b = 0; b < BESIDE; ++b) sum += other[beside[row * BESIDE + b] * length + k];
            T* const spin = own + row * length + k;
            const int level = threshold[(r * 2 + (*spin > 0)) * sums + (sum + BESIDE + 2) / 2];
            *spin = signed_word(words[w]) < level ? T(1) : T(-1);
        }
    }
#else
    constexpr int TILE = 256;
    unsigned words[4][TILE];
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const T* const line = other + row * length;
        T* const mine = own + row * length;
        const T* near[BESIDE > 0 ? BESIDE : 1] = {};
        for (int b = 0; b < BESIDE; ++b) near[b] = other + beside[row * BESIDE + b] * length;
        // Entries from `begin` to `end` whose other neighbor lies `away` entries further.
        const auto update = [&](const unsigned* drawn, const int* who, const i64 begin, const i64 end, const i64 away) {
            const T *const here = line + begin, *const next = here + away;
            T* const spins = mine + begin;
            const T* up[BESIDE > 0 ? BESIDE : 1] = {};
            for (int b = 0; b < BESIDE; ++b) up[b] = near[b] + begin;
            _Pragma("omp simd") for (int t = 0; t < int(end - begin); ++t) {
                int sum = here[t] + next[t];
                SCI_UNROLL
                for (int b = 0; b < BESIDE; ++b) sum += up[b][t];
                const int at = (who[t] * 2 + (spins[t] > 0)) * int(sums) + (sum + BESIDE + 2) / 2;
                spins[t] = int(drawn[t] ^ 0x80000000u) < threshold[at] ? T(1) : T(-1);
            }
        };
        for (i64 start = 0; start < groups; start += TILE) {
            const int n = groups - start < TILE ? int(groups - start) : TILE;
            _Pragma("omp simd") for (int t = 0; t < n; ++t) {
                const Words drawn = philox(row * each + place[start + t], origin + lane[start + t], step, 0, seed);
                words[0][t] = unsigned(drawn.a);
                words[1][t] = unsigned(drawn.b);
                words[2][t] = unsigned(drawn.c);
                words[3][t] = unsigned(drawn.d);
            }
            for (int w = 0; w < 4; ++w) {
                const i64 begin = w * groups + start, end = begin + n < length ? begin + n : length;
                if (begin >= end) break;
                const int* const who = lane + start;
                const i64 turn = shift[row] > 0 ? length - replicas : replicas;
                const i64 cut = turn < begin ? begin : turn > end ? end : turn;
                const i64 before = shift[row] > 0 ? replicas : length - replicas;
                update(words[w], who, begin, cut, before);
                update(words[w] + (cut - begin), who + (cut - begin), cut, end, before - length);
            }
        }
    }
#endif
}
