// A binary range coder of integers on a grid, whose contexts are the magnitudes of the neighbors coded before.
//
// An integer q is a flag (q = 0?), its magnitude in unary to 15, from there in Exp-Golomb, and its sign. A flag or a
// unary bit has an adaptive probability, held for each of 24 contexts. With near the sum of |q| at the offsets
// (0, 0, -1), (0, -1, 0), (-1, 0, 0), and far that at (0, 0, -2), (0, -1, +-1), (0, -2, 0), (-2, 0, 0), (-1, 0, +-1),
// (-1, +-1, 0), the context is 0 where s = 2 near + far is 0, else the number of bits of 16 s^2 / 225, from 1 to 23: two
// contexts for each doubling of s. A row whose integers all have context 0 by the other rows begins with a flag: all zero?
// All of it is integers, so that a stream has the same bytes on every machine.
//
// A probability p is 31 bits; a bit moves it by (bit - p) / (n + 3/2), where n <= 400 counts the bits before. The interval
// has 64 bits and is renewed by 32; a carry runs back into the bytes written. `share` planes are one stream, coded by one
// block: its threads add up the neighbors of a row, and one of them codes it.
//
// Work: about 6 ns a bit on a CPU, where each waits for the one before; one bit for a zero, two or more for other values,
// one for a row of zeros among zeros. Bytes: each q once; three planes of magnitudes stay in cache.
#include "host.h"

typedef unsigned long long Word;

constexpr int CONTEXTS = 24;
constexpr int UNARY = 15;           // flags of a context: magnitudes 0 to 14 end there
constexpr int HEAVIEST = 8192;      // magnitudes count as at most this in contexts, all of which then are 23
constexpr int MOST_COUNTS = 400;    // a probability forgets after this many bits
constexpr int EMPTY_ROW = 423;      // the model of rows of zeros, behind those of prefixes
constexpr i64 ONE = i64(1) << 31;   // of probabilities

SCI_DEVICE int bit_length(const Word x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return 64 - __clzll((long long)x);
#else
    return x == 0 ? 0 : 64 - __builtin_clzll(x);
#endif
}

SCI_DEVICE int context_of(const i64 s) {
    if (s == 0) return 0;
    const Word bounded = s > HEAVIEST ? HEAVIEST : s;
    const int bits = bit_length(16 * bounded * bounded / 225);
    return bits < 1 ? 1 : bits > CONTEXTS - 1 ? CONTEXTS - 1 : bits;
}

// Two integers of a model: the probability of a 1, and how many bits it has seen.
SCI_DEVICE Word chance(const int* const model) {
    const Word p = Word(model[0]) >> 15;
    return p < 1 ? 1 : p > 65535 ? 65535 : p;
}

SCI_DEVICE void learn(int* const model, const int* const __restrict__ steps, const bool bit) {
    const int n = model[1];
    model[0] += int(((bit ? ONE - 1 - model[0] : -i64(model[0])) * steps[n]) >> 16);
    model[1] = n + 1 < MOST_COUNTS ? n + 1 : MOST_COUNTS - 1;
}

struct Writer {
    signed char* bytes;
    i64 room, size;
    Word low, range;

    // Add to the number that the bytes are.
    SCI_DEVICE_MEMBER void raise(const Word by) {
        low += by;
        if (low < by)
            for (i64 k = size < room ? size : room; --k >= 0;)
                if (++bytes[k] != 0) break;
    }
    SCI_DEVICE_MEMBER void put(const int byte) {
        if (size < room) bytes[size] = (signed char)byte;
        ++size;  // beyond the room it tells that the stream is too long
    }
    SCI_DEVICE_MEMBER void renew() {
        if (range >> 32) return;
        for (int shift = 56; shift >= 32; shift -= 8) put(int((low >> shift) & 255));
        low <<= 32;
        range <<= 32;
    }
    SCI_DEVICE_MEMBER void bit(int* const model, const int* const __restrict__ steps, const bool one) {
        const Word part = (range >> 16) * chance(model);
        if (one) {
            range = part;
        } else {
            raise(part);
            range -= part;
        }
        learn(model, steps, one);
        renew();
    }
    SCI_DEVICE_MEMBER void even_bit(const bool one) {
        range >>= 1;
        if (one) raise(range);
        renew();
    }
    // End with the fewest bytes that lie in the interval; zeros at the end need not be written.
    SCI_DEVICE_MEMBER void finish() {
        for (int shift = 56; shift >= 0; shift -= 8) {
            const Word mask = (Word(1) << shift) - 1, by = ((low + mask) & ~mask) - low;
            if (by < range) {
                raise(by);
                break;
            }
        }
        for (int shift = 56; shift >= 0; shift -= 8) put(int((low >> shift) & 255));
        if (size <= room)
            while (size > 0 && bytes[size - 1] == 0) --size;
    }
};

struct Reader {
    const signed char* bytes;
    i64 end, place;
    Word code, range;

    SCI_DEVICE_MEMBER Word next() { return place < end ? Word((unsigned char)bytes[place++]) : Word(0); }
    SCI_DEVICE_MEMBER void renew() {
        if (range >> 32) return;
        for (int k = 0; k < 4; ++k) code = code << 8 | next();
        range <<= 32;
    }
    SCI_DEVICE_MEMBER bool bit(int* const model, const int* const __restrict__ steps) {
        const Word part = (range >> 16) * chance(model);
        const bool one = code < part;
        if (one) {
            range = part;
        } else {
            code -= part;
            range -= part;
        }
        learn(model, steps, one);
        renew();
        return one;
    }
    SCI_DEVICE_MEMBER bool even_bit() {
        range >>= 1;
        const bool one = code >= range;
        if (one) code -= range;
        renew();
        return one;
    }
};

// The magnitudes of three planes, with a zero at both ends of each row, a row of zeros, and one for the sums.
struct Rows {
    int* rows;
    i64 n1, n2;

    SCI_DEVICE_MEMBER int* of(const i64 plane, const i64 row) const {
        const bool inside = plane >= 0 && row >= 0 && row < n1;
        return rows + (inside ? plane % 3 * n1 + row : 3 * n1) * (n2 + 2) + 1;
    }
    SCI_DEVICE_MEMBER int* sums() const { return rows + (3 * n1 + 1) * (n2 + 2) + 1; }
    // Add up what lies in other rows than row `row` of plane `plane`, counted from the first of the stream.
    SCI_DEVICE_MEMBER void add_up(const i64 plane, const i64 row) const {
        const int *up = of(plane, row - 1), *up2 = of(plane, row - 2), *back = of(plane - 1, row);
        const int *back2 = of(plane - 2, row), *before = of(plane - 1, row - 1), *after = of(plane - 1, row + 1);
        int* const __restrict__ out = sums();
        SCI_ROW(k, n2) {
            out[k] = 2 * (up[k] + back[k]) + up[k - 1] + up[k + 1] + up2[k] + back2[k] + back[k - 1] + back[k + 1] +
                     before[k] + after[k];
        }
    }
};

template <typename T>
SCI_DEVICE bool all_zero(const T* const __restrict__ x, const i64 n) {
    T any = 0;
    for (i64 k = 0; k < n; ++k) any |= x[k];
    return any == 0;
}

template <typename T>
SCI_DEVICE void encode_row(Writer& writer, int* const models, const int* const __restrict__ steps,
                           const T* const __restrict__ q, const int* const sums, int* const own, const i64 n) {
    if (all_zero(sums, n)) {
        const bool empty = all_zero(q, n);
        writer.bit(models + 2 * EMPTY_ROW, steps, empty);
        if (empty) {
            for (i64 k = 0; k < n; ++k) own[k] = 0;
            return;
        }
    }
    int left = 0, left2 = 0;
    for (i64 k = 0; k < n; ++k) {
        const T value = q[k];
        const Word size = value < 0 ? Word(0) - Word(i64(value)) : Word(value);
        int* const model = models + 2 * UNARY * context_of(sums[k] + 2 * left + left2);
        left2 = left;
        left = own[k] = size < HEAVIEST ? int(size) : HEAVIEST;
        SCI_ROLLED for (int j = 0; j < UNARY; ++j) {
            writer.bit(model + 2 * j, steps, size > Word(j));
            if (size <= Word(j)) break;
        }
        if (size == 0) continue;
        if (size >= UNARY) {
            const Word rest = size - UNARY + 1;
            const int bits = bit_length(rest);
            int* const prefix = models + 2 * UNARY * CONTEXTS;
            for (int j = 1; j <= bits; ++j) writer.bit(prefix + 2 * (j - 1), steps, j < bits);
            for (int j = bits - 2; j >= 0; --j) writer.even_bit(rest >> j & 1);
        }
        writer.even_bit(value < 0);
    }
}

// Returns false where the bytes are no stream of a writer.
template <typename T, int BYTES>
SCI_DEVICE bool decode_row(Reader& reader, int* const models, const int* const __restrict__ steps,
                           T* const __restrict__ q, const int* const sums, int* const own, const i64 n) {
    constexpr int longest = 8 * BYTES - 2;  // bits of a prefix
    if (all_zero(sums, n) && reader.bit(models + 2 * EMPTY_ROW, steps)) {
        for (i64 k = 0; k < n; ++k) q[k] = own[k] = 0;
        return true;
    }
    int left = 0, left2 = 0;
    for (i64 k = 0; k < n; ++k) {
        int* const model = models + 2 * UNARY * context_of(sums[k] + 2 * left + left2);
        Word size = 0;
        while (size < UNARY && reader.bit(model + 2 * size, steps)) ++size;
        if (size >= UNARY) {
            int* const prefix = models + 2 * UNARY * CONTEXTS;
            int bits = 1;
            while (bits <= longest && reader.bit(prefix + 2 * (bits - 1), steps)) ++bits;
            if (bits > longest) return false;
            Word rest = 1;
            for (int j = bits - 2; j >= 0; --j) rest = rest << 1 | Word(reader.even_bit());
            size += rest - 1;
        }
        left2 = left;
        left = own[k] = size < HEAVIEST ? int(size) : HEAVIEST;
        q[k] = size != 0 && reader.even_bit() ? T(-i64(size)) : T(size);
    }
    return true;
}

// Codes the integers q of `planes` planes of n1 rows into `streams` pieces of at most `room` bytes.
//
// `sizes` is the length of each; one beyond the room means that it did not fit. `models` starts as it should, `rows` as 0.
// Instances: <int, 4> <i64, 8>
template <typename T, int BYTES>
SCI_KERNEL encode_integers(SCI_INDEX const T* __restrict__ q /*[planes,n1,n2]*/, const int* __restrict__ steps /*[400]*/,
                           int* models /*[streams,424,2]*/, int* rows /*[streams,places]*/,
                           signed char* bytes /*[streams,room]*/, i64* sizes /*[streams]*/, const i64 planes,
                           const i64 n1, const i64 n2, const i64 share, const i64 streams, const i64 places,
                           const i64 room) {
    for (i64 stream = blockIdx.x; stream < streams; stream += gridDim.x) {
        const i64 first = stream * share, end = first + share < planes ? first + share : planes;
        const Rows near = {rows + stream * places, n1, n2};
        Writer writer = {bytes + stream * room, room, 0, 0, ~Word(0)};
        for (i64 plane = first; plane < end; ++plane)
            for (i64 row = 0; row < n1; ++row) {
                near.add_up(plane - first, row);
                SCI_BARRIER
                if (SCI_LANE == 0)
                    encode_row(writer, models + stream * 2 * 424, steps, q + (plane * n1 + row) * n2, near.sums(),
                               near.of(plane - first, row), n2);
                SCI_BARRIER
            }
        if (SCI_LANE == 0) {
            writer.finish();
            sizes[stream] = writer.size;
        }
    }
}

// The inverse: the streams lie in `bytes` one after another, from `start`; `fine` becomes 1 for each that is one.
//
// Instances: <int, 4> <i64, 8>
template <typename T, int BYTES>
SCI_KERNEL decode_integers(SCI_INDEX const signed char* __restrict__ bytes /*[size]*/,
                           const i64* __restrict__ start /*[ends]*/, const int* __restrict__ steps /*[400]*/,
                           int* models /*[streams,424,2]*/, int* rows /*[streams,places]*/, T* q /*[planes,n1,n2]*/,
                           i64* fine /*[streams]*/, const i64 planes, const i64 n1, const i64 n2, const i64 share,
                           const i64 streams, const i64 places) {
    for (i64 stream = blockIdx.x; stream < streams; stream += gridDim.x) {
        const i64 first = stream * share, end = first + share < planes ? first + share : planes;
        const Rows near = {rows + stream * places, n1, n2};
        Reader reader = {bytes, start[stream + 1], start[stream], 0, ~Word(0)};
        for (int k = 0; k < 8; ++k) reader.code = reader.code << 8 | reader.next();
        bool good = true;
        for (i64 plane = first; plane < end; ++plane)
            for (i64 row = 0; row < n1; ++row) {
                near.add_up(plane - first, row);
                SCI_BARRIER
                if (SCI_LANE == 0 && good)
                    good = decode_row<T, BYTES>(reader, models + stream * 2 * 424, steps, q + (plane * n1 + row) * n2,
                                                near.sums(), near.of(plane - first, row), n2);
                SCI_BARRIER
            }
        if (SCI_LANE == 0) fine[stream] = good;
    }
}
