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
#include "philox.h"

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
    // A tile has the entries of several short rows, or a part of each quarter of a long one; loops over it are long enough
    // for vectors where those over a short row are not.
    constexpr int TILE = 1024;
    T total[TILE], spin[TILE];
    int from[TILE] = {};
    unsigned words[4 * TILE];
    const i64 part = length <= TILE ? groups : TILE / 4, several = length <= TILE ? TILE / length : 1;
    // Sums of the neighbors, and spins, of entries `begin` to `end` of a row.
    const auto load = [&](const i64 row, const i64 begin, const i64 end, const int at) {
        const i64 n = end - begin;
        const T* const here = other + row * length + begin;
        T *const sum = total + at, *const old = spin + at;
        const T* const mine = own + row * length + begin;
        _Pragma("omp simd") for (i64 t = 0; t < n; ++t) sum[t] = here[t];
        _Pragma("omp simd") for (i64 t = 0; t < n; ++t) old[t] = mine[t];
        for (int b = 0; b < BESIDE; ++b) {
            const T* const near = other + beside[row * BESIDE + b] * length + begin;
            _Pragma("omp simd") for (i64 t = 0; t < n; ++t) sum[t] = T(sum[t] + near[t]);
        }
        // The other neighbor along the row, before and after the place where the ring closes.
        const i64 turn = shift[row] > 0 ? length - replicas : replicas;
        const i64 away = shift[row] > 0 ? replicas : length - replicas;
        const i64 cut = (turn < begin ? begin : turn > end ? end : turn) - begin;
        _Pragma("omp simd") for (i64 t = 0; t < cut; ++t) sum[t] = T(sum[t] + here[t + away]);
        _Pragma("omp simd") for (i64 t = cut; t < n; ++t) sum[t] = T(sum[t] + here[t + away - length]);
    };
    for (i64 block = blockIdx.x; block * several < rows; block += gridDim.x) {
        const i64 row0 = block * several, row1 = row0 + several < rows ? row0 + several : rows;
        for (i64 start = 0; start < groups; start += part) {
            const i64 n = groups - start < part ? groups - start : part;
            int count = 0;
            for (i64 row = row0; row < row1; ++row) {
                unsigned* const drawn = words + count;
                _Pragma("omp simd") for (i64 t = 0; t < n; ++t) {
                    const Words found = philox(row * each + place[start + t], origin + lane[start + t], step, 0, seed);
                    drawn[t] = unsigned(found.a);
                    drawn[n + t] = unsigned(found.b);
                    drawn[2 * n + t] = unsigned(found.c);
                    drawn[3 * n + t] = unsigned(found.d);
                }
                for (int w = 0; w < 4; ++w) {
                    const i64 begin = w * groups + start, end = begin + n < length ? begin + n : length;
                    if (begin >= end) break;
                    if (replicas > 1)
                        for (int t = 0; t < int(end - begin); ++t) from[count + t] = lane[start + t] * 2 * int(sums);
                    if (part < groups) load(row, begin, end, count);
                    count += int(end - begin);
                }
                if (part == groups) load(row, 0, length, count - int(length));
            }
            _Pragma("omp simd") for (int t = 0; t < count; ++t) {
                const int at = from[t] + (spin[t] > 0 ? int(sums) : 0) + (total[t] + BESIDE + 2) / 2;
                spin[t] = int(words[t] ^ 0x80000000u) < threshold[at] ? T(1) : T(-1);
            }
            if (part == groups) {
                T* const out = own + row0 * length;
                _Pragma("omp simd") for (int t = 0; t < count; ++t) out[t] = spin[t];
                continue;
            }
            for (int w = 0, at = 0; w < 4; ++w) {
                const i64 begin = w * groups + start, end = begin + n < length ? begin + n : length;
                T* const out = own + row0 * length + begin;
                _Pragma("omp simd") for (int t = 0; t < int(end - begin); ++t) out[t] = spin[at + t];
                at += end > begin ? int(end - begin) : 0;
            }
        }
    }
#endif
}
