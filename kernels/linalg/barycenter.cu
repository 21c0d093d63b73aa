// Barycenters of sets of symmetric positive definite 3 x 3 matrices under the Bures-Wasserstein metric.
//
// X_i = L_i L_i', and the mean is K K' where K is the mean of the L_i Q_i, Q_i the orthogonal matrix that brings L_i
// nearest to K: the polar factor of L_i' K. A pass over the matrices evaluates that mean F, and the Hessian in H of the
// sum of squared distances along G + H G + G H, G = K K', which is convex in G. Newton's step K + H K is damped to
// |H| <= 0.7, so that I + H stays positive; where it does not lower the sum, F is taken, which always does.
//
// A thread has one set. Per matrix and pass: 36 flops for L'K and its inverse, about 70 for each of 3 to 6 steps of
// scaled Newton to the polar factor, 210 for the Hessian; 10 numbers read. 4 to 7 passes at condition up to 1000.
// Arithmetic is the limit.
#include "host.h"

template <typename T>
struct SciUnit;
template <>
struct SciUnit<double> {
    static constexpr double EPS = 2.220446049250313e-16, LARGEST = 1.7976931348623157e308;
};
template <>
struct SciUnit<float> {
    static constexpr float EPS = 1.1920929e-07f, LARGEST = 3.402823466e38f;
};

// Rows and columns of the six entries of a symmetric matrix, the place of an entry among them, and their weight where
// row and column are summed.
SCI_DEVICE constexpr int row_of(const int e) { return e < 3 ? e : (e == 5 ? 1 : 0); }
SCI_DEVICE constexpr int column_of(const int e) { return e < 3 ? e : (e == 3 ? 1 : 2); }
SCI_DEVICE constexpr int place(const int u, const int v) { return u == v ? u : u + v + 2; }
SCI_DEVICE constexpr double share(const int e) { return e < 3 ? 0.5 : 1.0; }

constexpr int STALLED = 32;

template <typename T>
SCI_DEVICE bool any_of(const T (&open)[SCI_SLOTS]) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return open[0] > T(0);
#else
    T most = 0;
    _Pragma("omp simd reduction(max : most)") for (int t = 0; t < SCI_BLOCK; ++t) {
        most = open[t] > most ? open[t] : most;
    }
    return most > T(0);
#endif
}

// Rows of three numbers, and matrices of three rows: without loops, so that the host keeps lanes in vectors.
template <typename T>
struct Row {
    T x, y, z;
};
template <typename T>
struct Square {
    Row<T> a, b, c;
};
template <typename T>
SCI_DEVICE T dot(const Row<T> p, const Row<T> q) {
    return p.x * q.x + p.y * q.y + p.z * q.z;
}
template <typename T>
SCI_DEVICE Row<T> cross(const Row<T> p, const Row<T> q) {
    return {p.y * q.z - p.z * q.y, p.z * q.x - p.x * q.z, p.x * q.y - p.y * q.x};
}
template <typename T>
SCI_DEVICE Row<T> sum(const T f, const Row<T> p, const T g, const Row<T> q) {
    return {f * p.x + g * q.x, f * p.y + g * q.y, f * p.z + g * q.z};
}
template <typename T>
SCI_DEVICE Row<T> sum(const T f, const Row<T> p, const T g, const Row<T> q, const T h, const Row<T> r) {
    return {f * p.x + g * q.x + h * r.x, f * p.y + g * q.y + h * r.y, f * p.z + g * q.z + h * r.z};
}
template <typename T>
SCI_DEVICE T squares(const Square<T> m) {
    return dot(m.a, m.a) + dot(m.b, m.b) + dot(m.c, m.c);
}
template <typename T>
SCI_DEVICE Square<T> cofactors(const Square<T> m) {
    return {cross(m.b, m.c), cross(m.c, m.a), cross(m.a, m.b)};
}
template <typename T>
SCI_DEVICE Square<T> load(const T (&m)[9][SCI_SLOTS], const int s) {
    return {{m[0][s], m[1][s], m[2][s]}, {m[3][s], m[4][s], m[5][s]}, {m[6][s], m[7][s], m[8][s]}};
}
template <typename T>
SCI_DEVICE void store(T (&m)[9][SCI_SLOTS], const int s, const Row<T> a, const Row<T> b, const Row<T> c) {
    m[0][s] = a.x;
    m[1][s] = a.y;
    m[2][s] = a.z;
    m[3][s] = b.x;
    m[4][s] = b.y;
    m[5][s] = b.z;
    m[6][s] = c.x;
    m[7][s] = c.y;
    m[8][s] = c.z;
}

// work[i] = L scaled to norm 1, the inverses of its diagonal, and its part of the mean in units of the largest L.
// refused = the number of the first matrix that is not positive definite beyond rounding, or -1.
template <typename T>
SCI_DEVICE void factor(const T* __restrict__ x, const T* __restrict__ weights, T* __restrict__ work, const i64 first,
                       const i64 n, const i64 k, T (&unit)[SCI_SLOTS], T (&narrow)[SCI_SLOTS], T (&refused)[SCI_SLOTS]) {
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        unit[s] = narrow[s] = 0;
        refused[s] = -1;
    }
    for (i64 i = 0; i < k; ++i) {
        T* const to = work + i * 10 * SCI_BLOCK;
        SCI_THREADS(t) {
            const i64 set = first + t < n ? first + t : n - 1;
            const T* const from = x + (set * k + i) * 9;
            to[t] = from[0];
            to[SCI_BLOCK + t] = from[4];
            to[2 * SCI_BLOCK + t] = from[8];
            to[3 * SCI_BLOCK + t] = from[3];
            to[4 * SCI_BLOCK + t] = from[6];
            to[5 * SCI_BLOCK + t] = from[7];
            to[6 * SCI_BLOCK + t] = weights[set * k + i];
        }
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const T x0 = to[t], x1 = to[SCI_BLOCK + t], x2 = to[2 * SCI_BLOCK + t], weight = to[6 * SCI_BLOCK + t];
            // In units of the trace, as squares of the entries may leave the range of numbers.
            const T trace = x0 + x1 + x2, scale = trace > T(0) ? T(1) / trace : T(1);
            const T d0 = x0 * scale, d1 = x1 * scale, d2 = x2 * scale;
            const T low = 3 * SciUnit<T>::EPS * (d0 > d1 ? (d0 > d2 ? d0 : d2) : (d1 > d2 ? d1 : d2));
            bool right = trace > T(0) && d0 > low;
            const T l0 = sqrt(right ? d0 : T(1)), m0 = T(1) / l0;
            const T l3 = to[3 * SCI_BLOCK + t] * scale * m0, l4 = to[4 * SCI_BLOCK + t] * scale * m0;
            const T p1 = d1 - l3 * l3;
            right = right && p1 > low;
            const T l1 = sqrt(right ? p1 : T(1)), m1 = T(1) / l1;
            const T l5 = (to[5 * SCI_BLOCK + t] * scale - l4 * l3) * m1;
            const T p2 = d2 - l4 * l4 - l5 * l5;
            right = right && p2 > low;
            const T l2 = sqrt(right ? p2 : T(1)), m2 = T(1) / l2;
            const T n3 = l3 * m0 * m1, n5 = l5 * m1 * m2, n4 = (l4 * m0 - l5 * n3) * m2;
            const T inverse = m0 * m0 + m1 * m1 + m2 * m2 + n3 * n3 + n4 * n4 + n5 * n5;
            const T size = sqrt(trace > T(0) ? trace : T(1));
            refused[s] = refused[s] < T(0) && !right ? T(i) : refused[s];
            narrow[s] = weight > T(0) && inverse > narrow[s] ? inverse : narrow[s];
            unit[s] = weight > T(0) && size > unit[s] ? size : unit[s];
            to[0 * SCI_BLOCK + t] = l0;
            to[1 * SCI_BLOCK + t] = l1;
            to[2 * SCI_BLOCK + t] = l2;
            to[3 * SCI_BLOCK + t] = l3;
            to[4 * SCI_BLOCK + t] = l4;
            to[5 * SCI_BLOCK + t] = l5;
            to[6 * SCI_BLOCK + t] = m0;
            to[7 * SCI_BLOCK + t] = m1;
            to[8 * SCI_BLOCK + t] = m2;
            to[9 * SCI_BLOCK + t] = size;
        }
    }
    for (i64 i = 0; i < k; ++i)
        SCI_THREADS(t) {
            const i64 set = first + t < n ? first + t : n - 1;
            T* const size = work + (i * 10 + 9) * SCI_BLOCK + t;
            *size = weights[set * k + i] * (*size / unit[SCI_SLOT(t)]);
        }
}

// q = (g b + c / g) / 2 with g^2 = |c| / |b|: the first step to the orthogonal polar factor of b, c = b^-T.
template <typename T>
SCI_DEVICE void first_step(const Row<T> b0, const Row<T> b1, const Row<T> b2, const Row<T> c0, const Row<T> c1,
                           const Row<T> c2, T (&q)[9][SCI_SLOTS], const int s) {
    const T g = sqrt(sqrt((dot(c0, c0) + dot(c1, c1) + dot(c2, c2)) / (dot(b0, b0) + dot(b1, b1) + dot(b2, b2))));
    const T u = T(0.5) * g, v = T(0.5) / g;
    store(q, s, sum(u, b0, v, c0), sum(u, b1, v, c1), sum(u, b2, v, c2));
}

// Further steps, of which each takes the inverse from cofactors.
template <typename T>
SCI_DEVICE void further_steps(T (&q)[9][SCI_SLOTS]) {
    T open[SCI_SLOTS];
    SCI_THREADS(t) { open[SCI_SLOT(t)] = 1; }
    for (int step = 0; step < 30 && any_of(open); ++step) {
        SCI_SEPARATE;
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const Square<T> b = load(q, s), c = cofactors(b);
            const T det = dot(b.a, c.a), side = det < T(0) ? T(-1) : T(1);
            const T size = squares(b), h = sqrt(squares(c) * size), g = sqrt(h / (size * side * det));
            const T u = T(0.5) * g, v = side * u * size / h;
            const Row<T> d0 = sum(u - T(1), b.a, v, c.a), d1 = sum(u - T(1), b.b, v, c.b);
            const Row<T> d2 = sum(u - T(1), b.c, v, c.c);
            store(q, s, sum(T(1), b.a, T(1), d0), sum(T(1), b.b, T(1), d1), sum(T(1), b.c, T(1), d2));
            open[s] = dot(d0, d0) + dot(d1, d1) + dot(d2, d2) > 4 * SciUnit<T>::EPS ? T(1) : T(0);
        }
    }
}

// q = the orthogonal polar factor of B = L' K, from the inverse k of K'. The first inverse is that of the two factors,
// which keeps its digits where B is nearly singular.
template <typename T>
SCI_DEVICE void align(const T* __restrict__ from, const T (&K)[9][SCI_SLOTS], const T (&k)[9][SCI_SLOTS],
                      T (&q)[9][SCI_SLOTS]) {
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        const T l0 = from[t], l1 = from[SCI_BLOCK + t], l2 = from[2 * SCI_BLOCK + t], l3 = from[3 * SCI_BLOCK + t];
        const T l4 = from[4 * SCI_BLOCK + t], l5 = from[5 * SCI_BLOCK + t], m0 = from[6 * SCI_BLOCK + t];
        const T m1 = from[7 * SCI_BLOCK + t], m2 = from[8 * SCI_BLOCK + t];
        const Square<T> r = load(K, s), i = load(k, s);
        const Row<T> b0 = sum(l0, r.a, l3, r.b, l4, r.c), b1 = sum(l1, r.b, l5, r.c), b2 = sum(l2, r.c, T(0), r.c);
        const Row<T> c0 = sum(m0, i.a, T(0), i.a), c1 = sum(m1, i.b, -m1 * l3, c0);
        first_step(b0, b1, b2, c0, c1, sum(m2, i.c, -m2 * l4, c0, -m2 * l5, c1), q, s);
    }
    further_steps(q);
}

// q = the orthogonal polar factor of each b, given c = b^-T.
// Instances: <float|double>
template <typename T>
SCI_KERNEL polar_factor(SCI_INDEX const T* __restrict__ b /*[n, 9]*/, const T* __restrict__ c /*[n, 9]*/,
                        T* __restrict__ q /*[n, 9]*/, const i64 n) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T from[9][SCI_SLOTS], inverse[9][SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 at = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            SCI_UNROLL
            for (int j = 0; j < 9; ++j) {
                from[j][SCI_SLOT(t)] = b[at * 9 + j];
                inverse[j][SCI_SLOT(t)] = c[at * 9 + j];
            }
        }
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const Square<T> x = load(from, s), y = load(inverse, s);
            first_step(x.a, x.b, x.c, y.a, y.b, y.c, from, s);
        }
        further_steps(from);
        SCI_THREADS(t) {
            const i64 at = tile * SCI_BLOCK + t;
            if (at < n) {
                SCI_UNROLL
                for (int j = 0; j < 9; ++j) q[at * 9 + j] = from[j][SCI_SLOT(t)];
            }
        }
    }
}

// a = L Q.
template <typename T>
SCI_DEVICE Square<T> aligned(const T* __restrict__ from, const T (&q)[9][SCI_SLOTS], const int t) {
    const T l0 = from[t], l1 = from[SCI_BLOCK + t], l2 = from[2 * SCI_BLOCK + t], l3 = from[3 * SCI_BLOCK + t];
    const T l4 = from[4 * SCI_BLOCK + t], l5 = from[5 * SCI_BLOCK + t];
    const Square<T> o = load(q, SCI_SLOT(t));
    return {sum(l0, o.a, T(0), o.a), sum(l3, o.a, l1, o.b), sum(l4, o.a, l5, o.b, l2, o.c)};
}

// F += c L Q.
template <typename T>
SCI_DEVICE void gather(const T* __restrict__ from, const T (&q)[9][SCI_SLOTS], T (&F)[9][SCI_SLOTS]) {
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        const T part = from[9 * SCI_BLOCK + t];
        const Square<T> a = aligned(from, q, t), f = load(F, s);
        store(F, s, sum(T(1), f.a, part, a.a), sum(T(1), f.b, part, a.b), sum(T(1), f.c, part, a.c));
    }
}

// F += c L Q, and hessian -= c R' (tr S - S)^-1 R, where S = (L Q)' K and R H is the axial vector of the skew part of
// 2 (L Q)' H K.
template <typename T>
SCI_DEVICE void accumulate(const T* __restrict__ from, const T (&K)[9][SCI_SLOTS], const T (&q)[9][SCI_SLOTS],
                           T (&F)[9][SCI_SLOTS], T (&hessian)[21][SCI_SLOTS]) {
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        const T part = from[9 * SCI_BLOCK + t];
        const Square<T> k = load(K, s), f = load(F, s), a = aligned(from, q, t);
        store(F, s, sum(T(1), f.a, part, a.a), sum(T(1), f.b, part, a.b), sum(T(1), f.c, part, a.c));
        const Row<T> s0 = sum(a.a.x, k.a, a.b.x, k.b, a.c.x, k.c), s1 = sum(a.a.y, k.a, a.b.y, k.b, a.c.y, k.c);
        const T s22 = a.a.z * k.a.z + a.b.z * k.b.z + a.c.z * k.c.z;
        // W = c (tr S - S)^-1.
        const T d0 = s1.y + s22, d1 = s0.x + s22, d2 = s0.x + s1.y, d3 = -s0.y, d4 = -s0.z, d5 = -s1.z;
        const T c0 = d1 * d2 - d5 * d5, c3 = d4 * d5 - d3 * d2, c4 = d3 * d5 - d4 * d1;
        const T scale = part / (d0 * c0 + d3 * c3 + d4 * c4);
        const T w3 = c3 * scale, w4 = c4 * scale, w5 = (d3 * d4 - d0 * d5) * scale;
        const Square<T> w = {{c0 * scale, w3, w4},
                             {w3, (d0 * d2 - d4 * d4) * scale, w5},
                             {w4, w5, (d0 * d1 - d3 * d3) * scale}};
        const Row<T> r0 = cross(k.a, a.a), r1 = cross(k.b, a.b), r2 = cross(k.c, a.c);
        const Row<T> r3 = sum(T(1), cross(k.b, a.a), T(1), cross(k.a, a.b));
        const Row<T> r4 = sum(T(1), cross(k.c, a.a), T(1), cross(k.a, a.c));
        const Row<T> r5 = sum(T(1), cross(k.c, a.b), T(1), cross(k.b, a.c));
        const Row<T> z0 = {dot(w.a, r0), dot(w.b, r0), dot(w.c, r0)}, z1 = {dot(w.a, r1), dot(w.b, r1), dot(w.c, r1)};
        const Row<T> z2 = {dot(w.a, r2), dot(w.b, r2), dot(w.c, r2)}, z3 = {dot(w.a, r3), dot(w.b, r3), dot(w.c, r3)};
        const Row<T> z4 = {dot(w.a, r4), dot(w.b, r4), dot(w.c, r4)}, z5 = {dot(w.a, r5), dot(w.b, r5), dot(w.c, r5)};
        hessian[0][s] -= dot(z0, r0);
        hessian[1][s] -= dot(z1, r0);
        hessian[2][s] -= dot(z1, r1);
        hessian[3][s] -= dot(z2, r0);
        hessian[4][s] -= dot(z2, r1);
        hessian[5][s] -= dot(z2, r2);
        hessian[6][s] -= dot(z3, r0);
        hessian[7][s] -= dot(z3, r1);
        hessian[8][s] -= dot(z3, r2);
        hessian[9][s] -= dot(z3, r3);
        hessian[10][s] -= dot(z4, r0);
        hessian[11][s] -= dot(z4, r1);
        hessian[12][s] -= dot(z4, r2);
        hessian[13][s] -= dot(z4, r3);
        hessian[14][s] -= dot(z4, r4);
        hessian[15][s] -= dot(z5, r0);
        hessian[16][s] -= dot(z5, r1);
        hessian[17][s] -= dot(z5, r2);
        hessian[18][s] -= dot(z5, r3);
        hessian[19][s] -= dot(z5, r4);
        hessian[20][s] -= dot(z5, r5);
    }
}

// h = the Newton step from the sums of a pass: (hessian + that of tr(T H G H)) h = sym((F - K) K'), T = F K^-1.
template <typename T>
SCI_DEVICE void newton(const T (&K)[9][SCI_SLOTS], const T (&k)[9][SCI_SLOTS], const T (&F)[9][SCI_SLOTS],
                       const T (&hessian)[21][SCI_SLOTS], T (&h)[6][SCI_SLOTS]) {
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        T g[6], m[6], d[6];
        SCI_UNROLL
        for (int e = 0; e < 6; ++e) {
            const int u = row_of(e), v = column_of(e);
            g[e] = K[3 * u][s] * K[3 * v][s] + K[3 * u + 1][s] * K[3 * v + 1][s] + K[3 * u + 2][s] * K[3 * v + 2][s];
            T m_uv = 0, m_vu = 0, d_uv = 0, d_vu = 0;
            SCI_UNROLL
            for (int j = 0; j < 3; ++j) {
                m_uv += F[3 * u + j][s] * k[3 * v + j][s];
                m_vu += F[3 * v + j][s] * k[3 * u + j][s];
                d_uv += (F[3 * u + j][s] - K[3 * u + j][s]) * K[3 * v + j][s];
                d_vu += (F[3 * v + j][s] - K[3 * v + j][s]) * K[3 * u + j][s];
            }
            m[e] = T(0.5) * (m_uv + m_vu);
            d[e] = T(share(e)) * (d_uv + d_vu);
        }
        T w[21], inverse[6];
        int at = 0;
        SCI_UNROLL
        for (int e = 0; e < 6; ++e) {
            SCI_UNROLL
            for (int f = 0; f <= e; ++f) {
                const int u = row_of(e), v = column_of(e), p = row_of(f), q = column_of(f);
                const int qu = place(q, u), pu = place(p, u), qv = place(q, v), pv = place(p, v);
                const T both = 2 * (m[qu] * g[pv] + m[pu] * g[qv] + m[qv] * g[pu] + m[pv] * g[qu]);
                w[at] = T(0.5 * share(e) * share(f)) * both + hessian[at][s];
                ++at;
            }
        }
        // L D L', the rows of L over those of w; rounding must not make a pivot negative.
        SCI_UNROLL
        for (int e = 0; e < 6; ++e) {
            T *const row = w + e * (e + 1) / 2, whole = row[e];
            SCI_UNROLL
            for (int f = 0; f < e; ++f) {
                const T* const other = w + f * (f + 1) / 2;
                SCI_UNROLL
                for (int j = 0; j < f; ++j) row[f] -= row[j] * other[j];
            }
            SCI_UNROLL
            for (int f = 0; f < e; ++f) {
                const T z = row[f] * inverse[f];
                row[e] -= z * row[f];
                row[f] = z;
            }
            const T low = SciUnit<T>::EPS * whole;
            inverse[e] = T(1) / (row[e] > low ? row[e] : low);
        }
        SCI_UNROLL
        for (int e = 0; e < 6; ++e) {
            SCI_UNROLL
            for (int f = 0; f < e; ++f) d[e] -= w[e * (e + 1) / 2 + f] * d[f];
        }
        SCI_UNROLL
        for (int e = 5; e >= 0; --e) {
            d[e] *= inverse[e];
            SCI_UNROLL
            for (int f = e + 1; f < 6; ++f) d[e] -= w[f * (f + 1) / 2 + e] * d[f];
            h[e][s] = d[e];
        }
    }
}

// mean = the barycenter of the k matrices of each of n sets with weights that add up to 1. report = the residual
// |F - K| / |K|, the length of the next step |H K| / |K|, the passes made, and the outcome: -1 is right, -2 not
// converged, and i the first matrix that is not positive definite beyond rounding. A set ends at a residual of tol, or
// of 2 eps times the square root of the largest condition, the rounding of the matrices themselves, or where it no
// longer falls by half within 32 times that.
// Instances: <float|double>
template <typename T>
SCI_KERNEL barycenter(SCI_INDEX const T* __restrict__ x /*[n, k, 9]*/, const T* __restrict__ weights /*[n, k]*/,
                      T* __restrict__ work /*[tiles, k, 10, block]*/, T* __restrict__ mean /*[n, 9]*/,
                      T* __restrict__ report /*[n, 4]*/, const i64 n, const i64 k, const i64 maxiter, const T tol) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T unit[SCI_SLOTS], rounding[SCI_SLOTS], refused[SCI_SLOTS], open[SCI_SLOTS], least[SCI_SLOTS], passes[SCI_SLOTS];
        T residual[SCI_SLOTS], error[SCI_SLOTS];
        T K[9][SCI_SLOTS], back[9][SCI_SLOTS], k_inverse[9][SCI_SLOTS], F[9][SCI_SLOTS], q[9][SCI_SLOTS];
        T hessian[21][SCI_SLOTS], h[6][SCI_SLOTS];
        T* const own = work + tile * k * 10 * SCI_BLOCK;
        factor(x, weights, own, tile * SCI_BLOCK, n, k, unit, rounding, refused);
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            rounding[s] = 2 * SciUnit<T>::EPS * sqrt(rounding[s]);
            open[s] = refused[s] < T(0) ? T(1) : T(0);
            least[s] = SciUnit<T>::LARGEST;
            residual[s] = error[s] = passes[s] = 0;
            // The start is the mean of the square roots, L_i brought nearest to the identity.
            const Row<T> zero = {0, 0, 0}, x_axis = {1, 0, 0}, y_axis = {0, 1, 0}, z_axis = {0, 0, 1};
            store(K, s, x_axis, y_axis, z_axis);
            store(k_inverse, s, x_axis, y_axis, z_axis);
            store(F, s, zero, zero, zero);
        }
        for (i64 i = 0; i < k; ++i) {
            align(own + i * 10 * SCI_BLOCK, K, k_inverse, q);
            gather(own + i * 10 * SCI_BLOCK, q, F);
        }
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const Square<T> f = load(F, s);
            store(K, s, f.a, f.b, f.c);
            store(back, s, f.a, f.b, f.c);
        }
        for (i64 pass = 1; pass <= maxiter && any_of(open); ++pass) {
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const Square<T> b = load(K, s), c = cofactors(b);
                const T f = T(1) / dot(b.a, c.a);
                const Row<T> zero = {0, 0, 0};
                store(k_inverse, s, sum(f, c.a, T(0), c.a), sum(f, c.b, T(0), c.b), sum(f, c.c, T(0), c.c));
                store(F, s, zero, zero, zero);
                SCI_UNROLL
                for (int a = 0; a < 21; ++a) hessian[a][s] = 0;
            }
            for (i64 i = 0; i < k; ++i) {
                align(own + i * 10 * SCI_BLOCK, K, k_inverse, q);
                accumulate(own + i * 10 * SCI_BLOCK, K, q, F, hessian);
            }
            newton(K, k_inverse, F, hessian, h);
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                T step[9], size = 0, moved = 0, away = 0, along = 0;
                SCI_UNROLL
                for (int a = 0; a < 9; ++a) {
                    const int u = a / 3, j = a % 3;
                    step[a] = h[place(u, 0)][s] * K[j][s] + h[place(u, 1)][s] * K[3 + j][s];
                    step[a] += h[place(u, 2)][s] * K[6 + j][s];
                    size += K[a][s] * K[a][s];
                    along += K[a][s] * F[a][s];
                    moved += step[a] * step[a];
                    away += (F[a][s] - K[a][s]) * (F[a][s] - K[a][s]);
                }
                T norm = 0;
                SCI_UNROLL
                for (int e = 0; e < 6; ++e) norm += T(2 * share(e)) * h[e][s] * h[e][s];
                const T damping = norm > T(0.49) ? T(0.7) / sqrt(norm) : T(1);
                const T value = T(0.5) * size - along;  // half the sum of squared distances, up to a constant
                const bool here = open[s] > T(0);
                const bool worse = value > least[s] + 64 * SciUnit<T>::EPS * size;
                const T off = sqrt(away / size), limit = tol > rounding[s] ? tol : rounding[s];
                const bool stalled = pass > 1 && off > T(0.5) * residual[s] && off <= STALLED * rounding[s];
                residual[s] = here ? off : residual[s];
                error[s] = here ? sqrt(moved / size) : error[s];
                passes[s] = here ? T(pass) : passes[s];
                open[s] = here && (worse || (off > limit && !stalled)) ? T(1) : T(0);
                least[s] = worse ? SciUnit<T>::LARGEST : value;
                SCI_UNROLL
                for (int a = 0; a < 9; ++a) {
                    const T next = worse ? back[a][s] : K[a][s] + damping * step[a];
                    back[a][s] = F[a][s];
                    K[a][s] = open[s] > T(0) ? next : K[a][s];
                }
            }
        }
        SCI_THREADS(t) {
            const i64 set = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (set < n) {
                SCI_UNROLL
                for (int a = 0; a < 9; ++a) {
                    const int u = a / 3, v = a % 3;
                    const T sum = K[3 * u][s] * K[3 * v][s] + K[3 * u + 1][s] * K[3 * v + 1][s] +
                                  K[3 * u + 2][s] * K[3 * v + 2][s];
                    mean[set * 9 + a] = sum * unit[s] * unit[s];
                }
                report[set * 4] = residual[s];
                report[set * 4 + 1] = error[s];
                report[set * 4 + 2] = passes[s];
                report[set * 4 + 3] = refused[s] < T(0) ? (open[s] > T(0) ? T(-2) : T(-1)) : refused[s];
            }
        }
    }
}
